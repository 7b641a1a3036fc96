// @ts-check
/**
 * The view of one side's figures.
 * @module views/figures
 */
import { NONE, count, milliseconds, reading } from "../format.js";
import { needed } from "../measure/histogram.js";
import { part, write } from "../dom.js";
import { leftOut } from "../measure/recording.js";
import { completeness, ledgerLine } from "../measure/ledger.js";

/** @typedef {import("../connection/side.js").Side} Side */

export class FiguresView {
  #root;
  #side;
  #parts;

  /**
   * @param {HTMLElement} root
   * @param {Side} side
   * @param {() => string} parts says what the connection's time was spent on; empty where the browser never tells
   */
  constructor(root, side, parts) {
    this.#root = root;
    this.#side = side;
    this.#parts = parts;
  }

  /** Write what was measured until now. */
  paint() {
    const { stats } = this.#side.measuring;
    const { exchange } = this.#side.speech;
    this.#write("received", count(stats.received));
    this.#write("received-note", completeness(stats));
    this.#reading("latency", stats.latency.value, stats.error.value);
    this.#write("opening", milliseconds(stats.opening));
    this.#write("round-trip", milliseconds(exchange.roundTrip));
    this.#write("round-trip-note", exchange.note);
    this.#distribution();
    this.#traffic();
    this.#lines();
  }

  #distribution() {
    const { histogram, error } = this.#side.measuring.recording;
    for (const percent of [50, 95, 99]) {
      this.#reading(`p${percent}`, histogram.percentile(percent), error);
      const least = needed(percent);
      if (histogram.count < least && percent > 50) this.#write(`p${percent}-note`, `from ${least} on`);
    }
    this.#reading("max", histogram.max, error);
  }

  #traffic() {
    const { stats, recording } = this.#side.measuring;
    const { open } = this.#side;
    const rate = open ? recording.rate(performance.now()) : null;
    const bytes = recording.bytesPerMessage;
    this.#write("jitter", milliseconds(recording.jitter.value));
    this.#write("rate", rate === null ? NONE : milliseconds(rate));
    this.#write("bytes", bytes === null ? NONE : milliseconds(bytes));
    this.#write("reconnects", count(stats.reconnects));
  }

  #lines() {
    const { stats, recording } = this.#side.measuring;
    this.#write("ledger", ledgerLine(stats));
    this.#write("left-out", leftOut(recording));
    const parts = this.#parts();
    if (parts !== "") this.#write("parts", parts);
  }

  /**
   * Write a latency with its error, or as a bound.
   * @param {string} name
   * @param {number | null} value milliseconds
   * @param {number | null} error
   */
  #reading(name, value, error) {
    const { prefix, value: figure, note } = reading(value, error);
    this.#write(`${name}-prefix`, prefix);
    this.#write(name, figure);
    this.#write(`${name}-note`, note);
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #write(name, text) {
    write(part(this.#root, name), text);
  }
}
