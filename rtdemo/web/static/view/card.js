// @ts-check
/**
 * The card of one producer: its title, whether it is fresh, and a body by the kind of its values.
 * @module view/card
 */
import { make, write } from "../dom.js";
import { clip, oneLine } from "../format.js";
import { shownSeconds } from "./axis.js";
import { BODIES } from "./bodies.js";
import { spanText } from "../value.js";

/** @typedef {import("./bodies.js").Body} Body */
/** @typedef {import("./bodies.js").Surroundings} Surroundings */
/** @typedef {import("./chart.js").Frame} Frame */
/** @typedef {import("./chart.js").CardFrame} CardFrame */
/** @typedef {import("./producer_data.js").ProducerData} ProducerData */
/** @typedef {import("../value.js").Kind} Kind */

/** From this age on, a fresh value has its age beside it. */
const AGE_SHOWN_MS = 10_000;
/** Characters of a title: control characters take several. */
const MAX_TITLE_CHARS = 120;

/** Icons, 12 by 12. */
const CORNERS = "M1 4V1h3M8 1h3v3M11 8v3H8M4 11H1V8";
const CORNERS_INWARD = "M4 1v3H1M8 1v3h3M11 8H8v3M1 8h3v3";
const CROSS = "M2 2l8 8M10 2l-8 8";

export class Card {
  element = document.createElement("article");
  #title = document.createElement("h2");
  #age = document.createElement("span");
  #body = document.createElement("div");
  #full = iconButton("Full screen", CORNERS, () => void this.#toggleFullScreen());
  #hide = iconButton("Hide this card", CROSS, ({ detail }) => {
    // The second click of a double click would hide the next card, which has taken this one's place.
    if (detail < 2) this.#surroundings.hide?.(this.data.name);
  });
  /** One of each kind that the producer has sent. @type {Map<Kind, Body>} */
  #bodies = new Map();
  /** @type {Kind | null} */
  #kind = null;
  /** What the texts show: the chart follows in a later frame. @type {CardFrame | null} */
  #written = null;
  #surroundings;

  /**
   * @param {ProducerData} data
   * @param {Surroundings} surroundings
   */
  constructor(data, surroundings) {
    this.data = data;
    this.#surroundings = surroundings;
    this.#age.className = "age";
    this.#body.className = "body";
    this.#hide.classList.add("hide");
    this.element.addEventListener("fullscreenchange", () => this.#writeFullScreen());
    const icons = make("span", "icons", ...(surroundings.hide ? [this.#hide] : []), this.#full);
    this.element.className = "card";
    this.element.append(make("header", "", this.#title, this.#age, icons), this.#body);
    this.#writeTitle();
  }

  /**
   * Write the texts that have changed.
   * @param {Frame} frame
   */
  write(frame) {
    const { series, at, version } = this.data;
    const age = series.length > 0 ? frame.edge - series.at[0] : 0;
    // The numbers go on during a pause; the chart does not.
    const newest = frame.paused ? frame.edge : (at ?? Infinity);
    const own = { ...frame, seconds: shownSeconds(frame.window, age / 1000), newest, version };
    this.#writeTitle();
    this.#writeAge(own);
    this.#bodyFor(own).write(this.data, own);
    this.#written = own;
  }

  /**
   * Draw the chart as of the texts, if it has changed.
   * @returns {boolean} whether it was drawn
   */
  draw() {
    const written = this.#written;
    // What is of another kind has no texts yet.
    if (written === null || this.#kind === null || this.#kindIn(written) !== this.#kind) return false;
    return this.#bodies.get(this.#kind)?.chart?.draw(this.data, written) ?? false;
  }

  #writeTitle() {
    const title = oneLine(this.data.title);
    const name = oneLine(this.data.name);
    const shown = clip(title, MAX_TITLE_CHARS);
    if (this.#title.textContent === shown) return;
    this.#title.textContent = shown;
    this.#title.title = title === name ? title : `${title} (${name})`;
    this.element.setAttribute("aria-label", shown);
    this.#writeFullScreen();
    this.#hide.setAttribute("aria-label", `Hide ${shown}`);
  }

  /** Name what the button does now. */
  #writeFullScreen() {
    const isFull = this.element.matches(":fullscreen");
    this.#full.title = isFull ? "Exit full screen" : "Full screen";
    this.#full.setAttribute("aria-label", `${this.#full.title}: ${this.#title.textContent}`);
    this.#full.querySelector("path")?.setAttribute("d", isFull ? CORNERS_INWARD : CORNERS);
  }

  /** @param {Frame} frame */
  #writeAge({ now }) {
    const { at } = this.data;
    const age = at === null ? 0 : now - at;
    const isStale = this.data.isStale(now);
    this.element.dataset.fresh = isStale ? "no" : "yes";
    const text = `${spanText(age / 1000)} ago`;
    write(this.#age, isStale ? `stale: ${text}` : age > AGE_SHOWN_MS ? text : "");
  }

  /** @param {CardFrame} frame */
  #kindIn({ edge, seconds }) {
    return this.data.shownAs(edge - seconds * 1000);
  }

  /** @param {CardFrame} frame */
  #bodyFor(frame) {
    const kind = this.#kindIn(frame);
    const body = this.#bodies.get(kind) ?? BODIES[kind](this.#surroundings);
    if (kind === this.#kind) return body;
    this.#bodies.set(kind, body);
    this.#kind = kind;
    this.element.dataset.kind = kind;
    this.#body.replaceChildren(...body.elements);
    return body;
  }

  async #toggleFullScreen() {
    if (this.element.matches(":fullscreen")) await document.exitFullscreen();
    // A browser that forbids it leaves the card as it is.
    else await this.element.requestFullscreen?.().catch(() => undefined);
  }
}

/**
 * @param {string} title
 * @param {string} icon
 * @param {(event: MouseEvent) => void} pressed
 */
function iconButton(title, icon, pressed) {
  const name = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(name, "svg");
  const path = document.createElementNS(name, "path");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", icon);
  svg.append(path);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "icon";
  button.title = title;
  button.append(svg);
  button.addEventListener("click", pressed);
  return button;
}
