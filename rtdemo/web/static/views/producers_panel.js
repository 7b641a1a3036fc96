// @ts-check
/**
 * The view of the producers: the rate, what went wrong, and a row for each.
 * @module views/producers_panel
 */
import { part, partOfType, write } from "../dom.js";
import { LABELS, TRANSPORTS, switchableNames } from "../producers.js";
import { ProducerRow } from "./producer_row.js";
import { switched } from "../connection/selection.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../producers.js").Roster} Roster */
/** @typedef {import("../producers.js").TransportName} TransportName */

export const STOPS = ["0.1", "0.15", "0.2", "0.3", "0.5", "0.7", "1", "1.5", "2", "3", "5", "7", "10", "15", "20"];

/**
 * Find the stop that is nearest by ratio, as the slider shows it.
 * @param {string} speed
 * @returns {number} an index
 */
export function nearestStop(speed) {
  const wanted = Math.log(Number(speed));
  if (!Number.isFinite(wanted)) return STOPS.indexOf("1");
  const distances = STOPS.map((stop) => Math.abs(Math.log(Number(stop)) - wanted));
  return distances.indexOf(Math.min(...distances));
}

/** @typedef {Record<TransportName, Side>} Sides */

/** Lines of what went wrong that are shown at once. */
const LINES = 5;

export class ProducersPanel {
  #root;
  #sides;
  #roster;
  #changed;
  /** @type {Map<string, ProducerRow>} */
  #rows = new Map();
  /** Why the last Enable did nothing. */
  #refusal = "";
  #announced = "";

  /**
   * @param {HTMLElement} root
   * @param {Sides} sides
   * @param {Roster} roster
   * @param {() => void} changed called when the panel itself wants to be painted
   */
  constructor(root, sides, roster, changed) {
    this.#root = root;
    this.#sides = sides;
    this.#roster = roster;
    this.#changed = changed;
    this.#slider.addEventListener("input", () => this.#setRate(STOPS[Number(this.#slider.value)]));
  }

  /** Write what is known now. */
  paint() {
    this.#paintRate();
    this.#paintLines();
    if (this.#roster.producers === null) return;
    const { websocket, sse } = this.#sides;
    const chosen = { websocket: websocket.control.chosen, sse: sse.control.chosen };
    const names = this.#roster.producers.map(({ name }) => name);
    for (const [name, row] of this.#rows) {
      if (names.includes(name)) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    this.#roster.producers.forEach((producer, index) => this.#row(producer.name, index).paint(producer, chosen));
  }

  /**
   * Find or make the row of a producer, in its place; one that is there is not moved, which would cost its focus.
   * @param {string} name
   * @param {number} index
   */
  #row(name, index) {
    const list = part(this.#root, "producers-list");
    const row = this.#rows.get(name) ?? this.#newRow(name);
    if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null);
    return row;
  }

  /** @param {string} name */
  #newRow(name) {
    const row = new ProducerRow(this.#template, name, {
      switched: (producer, transport, on) => this.#switch(producer, transport, on),
      enable: (producer) => this.#enable(producer),
    });
    this.#rows.set(name, row);
    return row;
  }

  /**
   * @param {string} name
   * @param {TransportName} transport
   * @param {boolean} on
   */
  #switch(name, transport, on) {
    const side = this.#sides[transport];
    const known = switchableNames(this.#roster.producers ?? [], transport);
    side.choose(switched(side.control.chosen, name, on, known));
  }

  /** @param {string} name */
  async #enable(name) {
    this.#refusal = await this.#roster.enable(name);
    this.#changed();
  }

  /**
   * One rate for both, so that the two stay comparable.
   * @param {string} speed
   */
  #setRate(speed) {
    for (const side of Object.values(this.#sides)) side.choose({ ...side.control.chosen, speed });
  }

  #paintRate() {
    const { websocket, sse } = this.#sides;
    const speeds = [...new Set([websocket.control.chosen.speed, sse.control.chosen.speed])];
    this.#slider.value = String(nearestStop(speeds[0]));
    this.#slider.setAttribute("aria-valuetext", speeds.map((speed) => `${speed} times`).join(" and "));
    write(part(this.#root, "rate-value"), speeds.map((speed) => `${speed}×`).join(" / "));
  }

  /** What went wrong stands where the hint stood, so that the first line of it moves nothing. */
  #paintLines() {
    const { errors, fault, hidden } = this.#roster;
    const refusals = TRANSPORTS.filter((name) => this.#sides[name].control.refusal !== "").map(
      (name) => `${LABELS[name]}: ${this.#sides[name].control.refusal}`,
    );
    const more = hidden > 0 ? [`${hidden} more producers are not shown; /api/producers lists all.`] : [];
    const lines = [this.#refusal, ...refusals, fault, ...errors, ...more].filter(Boolean).slice(0, LINES);
    const holder = part(this.#root, "lines");
    const shown = lines.length > 0 ? lines : [holder.dataset.hint ?? ""];
    while (holder.children.length > shown.length) holder.lastElementChild?.remove();
    while (holder.children.length < shown.length) holder.append(document.createElement("p"));
    shown.forEach((line, index) => write(holder.children[index], line));
    holder.classList.toggle("fault", lines.length > 0);
    this.#announce(lines.join(" "));
  }

  /**
   * Tell screen readers when something new went wrong, and nothing else.
   * @param {string} lines
   */
  #announce(lines) {
    if (lines === this.#announced) return;
    this.#announced = lines;
    write(part(this.#root, "outcome"), lines);
  }

  /** @returns {HTMLInputElement} */
  get #slider() {
    return partOfType(this.#root, "rate", HTMLInputElement);
  }

  /** @returns {HTMLTemplateElement} */
  get #template() {
    return partOfType(this.#root, "producer-row", HTMLTemplateElement);
  }
}
