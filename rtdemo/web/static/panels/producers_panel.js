// @ts-check
/**
 * Shows the producers: the rate slider, errors, and a row for each.
 * @module panels/producers_panel
 */
import { part, partOfType, write } from "../dom.js";
import { clip, oneLine } from "../format.js";
import { TRANSPORT_LABELS, TRANSPORTS, switchableNames } from "../producers.js";
import { ProducerRow } from "./producer_row.js";
import { switched } from "../connection/selection.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../producers.js").ProducerList} ProducerList */
/** @typedef {import("../producers.js").TransportName} TransportName */

export const RATE_STOPS = ["0.1", "0.15", "0.2", "0.3", "0.5", "0.7", "1", "1.5", "2", "3", "5", "7", "10", "15", "20"];

/**
 * Find the stop that is nearest by ratio, as the slider shows it.
 * @param {string} speed
 * @returns {number} an index
 */
export function nearestStop(speed) {
  const wanted = Math.log(Number(speed));
  if (!Number.isFinite(wanted)) return RATE_STOPS.indexOf("1");
  const distances = RATE_STOPS.map((stop) => Math.abs(Math.log(Number(stop)) - wanted));
  return distances.indexOf(Math.min(...distances));
}

/** @typedef {Record<TransportName, Side>} Sides */

/** Bound on lines of errors. */
const MAX_LINES = 5;

export class ProducersPanel {
  #root;
  #sides;
  #list;
  #changed;
  /** @type {Map<string, ProducerRow>} */
  #rows = new Map();
  /** Why the last Enable failed. */
  #enableError = "";
  #announced = "";

  /**
   * @param {HTMLElement} root
   * @param {Sides} sides
   * @param {ProducerList} producerList
   * @param {() => void} changed requests a painting
   */
  constructor(root, sides, producerList, changed) {
    this.#root = root;
    this.#sides = sides;
    this.#list = producerList;
    this.#changed = changed;
    this.#slider.addEventListener("input", () => this.#setRate(RATE_STOPS[Number(this.#slider.value)]));
  }

  /** Write the current list. */
  paint() {
    this.#paintRate();
    this.#paintLines();
    if (this.#list.producers === null) return;
    const { websocket, sse } = this.#sides;
    const chosen = { websocket: websocket.selection.chosen, sse: sse.selection.chosen };
    const names = this.#list.producers.map(({ name }) => name);
    this.#paintSummary();
    for (const [name, row] of this.#rows) {
      if (names.includes(name)) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    this.#list.producers.forEach((producer, index) => this.#row(producer.name, index).paint(producer, chosen));
  }

  /** Show beside the title what a folded section would hide. */
  #paintSummary() {
    const producers = this.#list.producers ?? [];
    const published = producers.filter(({ state }) => state === "published").length;
    const running = producers.filter(({ state }) => state === "running").length;
    const failing = producers
      .filter(({ state }) => state !== "running" && state !== "published")
      .map(({ name }) => oneLine(clip(name, 40)));
    const summary = part(this.#root, "producers-summary");
    const all = `${producers.length} producers`;
    const well = published === 0 ? "all running" : `${running} running, ${published} published`;
    write(summary, `${all}, ${failing.length === 0 ? well : `not running: ${clip(failing.join(", "), 80)}`}`);
    summary.classList.toggle("alert", failing.length > 0);
  }

  /**
   * Find or create a producer's row at its place. A row that is in place is not moved, so that it keeps the focus.
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
    const known = switchableNames(this.#list.producers ?? [], transport);
    side.choose(switched(side.selection.chosen, name, on, known));
  }

  /** @param {string} name */
  async #enable(name) {
    this.#enableError = await this.#list.enable(name);
    this.#changed();
  }

  /**
   * Set one rate for both sides, so that they stay comparable.
   * @param {string} speed
   */
  #setRate(speed) {
    for (const side of Object.values(this.#sides)) side.choose({ ...side.selection.chosen, speed });
  }

  #paintRate() {
    const { websocket, sse } = this.#sides;
    const speeds = [...new Set([websocket.selection.chosen.speed, sse.selection.chosen.speed])];
    this.#slider.value = String(nearestStop(speeds[0]));
    this.#slider.setAttribute("aria-valuetext", speeds.map((speed) => `${speed} times`).join(" and "));
    write(part(this.#root, "rate-value"), speeds.map((speed) => `${speed}×`).join(" / "));
  }

  /** Show errors in the place of the hint, so that the first line moves nothing. */
  #paintLines() {
    const { pluginErrors, pollError, hidden } = this.#list;
    const refusals = TRANSPORTS.filter((name) => this.#sides[name].selection.refusal !== "").map(
      (name) => `${TRANSPORT_LABELS[name]}: ${this.#sides[name].selection.refusal}`,
    );
    const more = hidden > 0 ? [`${hidden} more producers are not shown; /api/producers lists all.`] : [];
    const lines = [this.#enableError, ...refusals, pollError, ...pluginErrors, ...more].filter(Boolean).slice(0, MAX_LINES);
    const holder = part(this.#root, "lines");
    const shown = lines.length > 0 ? lines : [holder.dataset.hint ?? ""];
    while (holder.children.length > shown.length) holder.lastElementChild?.remove();
    while (holder.children.length < shown.length) holder.append(document.createElement("p"));
    shown.forEach((line, index) => write(holder.children[index], line));
    holder.classList.toggle("alert", lines.length > 0);
    this.#announce(lines.join(" "));
  }

  /**
   * Announce new errors to screen readers, and nothing else.
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
