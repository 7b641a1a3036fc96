// @ts-check
/**
 * Shows one side's column of the table of figures.
 * @module panels/figures
 */
import { NONE, count, milliseconds, reading } from "../format.js";
import { minimumCount, settledCount } from "../measure/histogram.js";
import { sidePart, write } from "../dom.js";
import { leftOut } from "../measure/recording.js";
import { completeness, ledgerLine } from "../measure/ledger_text.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../producers.js").TransportName} TransportName */

export class Figures {
  #root;
  #name;
  #side;
  #connectParts;

  /**
   * @param {HTMLElement} root
   * @param {TransportName} name
   * @param {Side} side
   * @param {() => string} connectParts the parts of the time to connect; empty if the browser never records them
   */
  constructor(root, name, side, connectParts) {
    this.#root = root;
    this.#name = name;
    this.#side = side;
    this.#connectParts = connectParts;
  }

  /** Write the current figures. */
  paint() {
    const { stats, recording } = this.#side.measurement;
    const { roundTrips } = this.#side.sender;
    this.#write("received", count(stats.received));
    this.#write("received-note", completeness(stats));
    this.#reading("latency", recording.latency.value, recording.meanError.value);
    this.#write("opening", milliseconds(stats.connectionTime));
    this.#write("round-trip", milliseconds(roundTrips.last));
    this.#write("round-trip-note", roundTrips.note);
    this.#distribution();
    this.#traffic();
    this.#lines();
  }

  #distribution() {
    const { histogram, error } = this.#side.measurement.recording;
    this.#reading("p50", histogram.percentile(50), error);
    for (const percent of [95, 99]) {
      const name = `p${percent}`;
      const isRough = histogram.count < settledCount(percent);
      this.#reading(name, histogram.percentile(percent), error, isRough ? `, rough until ${count(settledCount(percent))}` : "");
      if (histogram.count < minimumCount(percent)) this.#write(`${name}-note`, `needs ${minimumCount(percent)}`);
      sidePart(this.#root, this.#name, name).classList.toggle("quiet", isRough);
    }
    this.#reading("max", histogram.max, error);
  }

  #traffic() {
    const { stats, recording } = this.#side.measurement;
    const { open } = this.#side;
    const rate = open ? recording.rate(performance.now()) : null;
    const bytes = recording.bytesPerMessage;
    this.#write("jitter", milliseconds(recording.jitter.value));
    this.#write("rate", rate === null ? NONE : milliseconds(rate));
    this.#write("bytes", bytes === null ? NONE : milliseconds(bytes));
    this.#write("reconnects", count(stats.reconnects));
  }

  #lines() {
    const { stats, recording } = this.#side.measurement;
    this.#write("lost", ledgerLine(stats));
    this.#write("left-out", leftOut(recording));
    const parts = this.#connectParts();
    if (parts !== "") this.#write("parts", parts);
  }

  /**
   * Write a latency with its error, or as a bound.
   * @param {string} name
   * @param {number | null} value milliseconds
   * @param {number | null} error milliseconds
   * @param {string} [more] behind the error
   */
  #reading(name, value, error, more = "") {
    const { prefix, value: figure, note } = reading(value, error);
    this.#write(`${name}-prefix`, prefix);
    this.#write(name, figure);
    this.#write(`${name}-note`, `${note}${more}`);
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #write(name, text) {
    write(sidePart(this.#root, this.#name, name), text);
  }
}
