// @ts-check
/**
 * What one side measured: its samples, and the figures of those that count. Pure: what arrives is handed in.
 * @module measure/recording
 */
import { count } from "../format.js";
import { Histogram } from "./histogram.js";
import { Jitter } from "./jitter.js";
import { BROKEN, HIDDEN, Ring, UNTIMED } from "./ring.js";

/**
 * @typedef {object} Sample
 * @property {number} at performance.now() at the arrival
 * @property {{ value: number, error: number } | null} latency milliseconds; null while the server's clock is unknown
 * @property {number} payload bytes of JSON
 * @property {number} bytes on the wire
 * @property {string} producer
 * @property {number} flags why it is left out
 */

/** Names of producers that are told apart; further ones share the last number. */
const NAMES = 255;

/** What messages a second are counted over. */
const RATE_MS = 10_000;

export class Recording {
  ring = new Ring();
  histogram = new Histogram();
  jitter = new Jitter();
  /** @type {string[]} by number, as the ring has it */
  names = [];
  /** The largest error bound of a sample that counts: every percentile's error is within it. @type {number | null} */
  error = null;
  /** Samples left out of the figures, by the reason. */
  left = { hidden: 0, broken: 0, untimed: 0 };
  wire = { messages: 0, bytes: 0 };
  /** By number of the producer, of all samples that count. */
  payload = { messages: new Float64Array(NAMES + 1), bytes: new Float64Array(NAMES + 1) };
  #since = 0;

  /** @param {Sample} sample */
  record({ at, latency, payload, bytes, producer, flags }) {
    const number = this.#number(producer);
    this.ring.push(at, latency?.value ?? NaN, latency?.error ?? NaN, bytes, number, flags);
    this.wire.messages += 1;
    this.wire.bytes += bytes;
    if (latency === null || flags !== 0) {
      this.#leaveOut(flags);
      return;
    }
    this.payload.messages[number] += 1;
    this.payload.bytes[number] += payload;
    this.histogram.add(latency.value);
    this.jitter.add(latency.value);
    this.error = Math.max(this.error ?? 0, latency.error);
  }

  /** A break in the connection: what follows has nothing before it to be compared with. */
  interrupt() {
    this.jitter.interrupt();
  }

  /**
   * Start counting messages a second.
   * @param {number} at performance.now()
   */
  begin(at) {
    this.#since = at;
  }

  /**
   * Count messages a second over the last ten, or since the connection opened.
   * @param {number} now performance.now()
   * @returns {number | null} null in the first second
   */
  rate(now) {
    const span = Math.min(RATE_MS, now - this.#since);
    if (this.ring.length === 0 || span < 1000) return null;
    return ((this.ring.length - this.ring.since(now - span)) / span) * 1000;
  }

  /** @returns {number | null} bytes on the wire, in the mean */
  get bytesPerMessage() {
    return this.wire.messages === 0 ? null : this.wire.bytes / this.wire.messages;
  }

  /**
   * Forget every sample and figure.
   * @param {number} at performance.now()
   */
  reset(at) {
    this.ring.clear();
    this.histogram.clear();
    this.jitter.clear();
    this.names = [];
    this.error = null;
    this.left = { hidden: 0, broken: 0, untimed: 0 };
    this.wire = { messages: 0, bytes: 0 };
    this.payload.messages.fill(0);
    this.payload.bytes.fill(0);
    this.begin(at);
  }

  /** @param {number} flags */
  #leaveOut(flags) {
    this.jitter.interrupt();
    if (flags & BROKEN) this.left.broken += 1;
    else if (flags & HIDDEN) this.left.hidden += 1;
    else if (flags & UNTIMED) this.left.untimed += 1;
  }

  /** @param {string} name */
  #number(name) {
    const known = this.names.indexOf(name);
    if (known >= 0) return known;
    if (this.names.length >= NAMES) return NAMES;
    return this.names.push(name) - 1;
  }
}

/**
 * Say how many samples were left out of the figures, and why.
 * @param {Recording} recording
 */
export function leftOut({ left: { hidden, broken, untimed } }) {
  const reasons = [
    broken && `${count(broken)} during a break of yours`,
    hidden && `${count(hidden)} while the tab was hidden`,
    untimed && `${count(untimed)} before the clock was known`,
  ].filter(Boolean);
  return reasons.length === 0 ? "none" : reasons.join(", ");
}
