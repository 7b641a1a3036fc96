// @ts-check
/**
 * What one side measures of its connection: figures, samples, and the spans in which something was not as usual.
 * @module measure/measurement
 */
import { Breaks } from "./faults.js";
import { Recording } from "./recording.js";
import { BROKEN, HIDDEN, UNTIMED } from "./ring.js";
import { Spans } from "./spans.js";
import { Ledger } from "./ledger.js";

/** @typedef {import("./visibility.js").Attention} Attention */
/** @typedef {import("./server_clock.js").Clock} Clock */
/** @typedef {import("../message.js").Message} Message */
/** @typedef {{ clock: Clock, attention: Attention }} Reader */

/** A mean that keeps no samples. */
export class Mean {
  count = 0;
  sum = 0;

  /** @param {number} value */
  add(value) {
    this.count += 1;
    this.sum += value;
  }

  /** @returns {number | null} null before the first value */
  get value() {
    return this.count === 0 ? null : this.sum / this.count;
  }
}

/** Everything that one panel shows as a figure. */
export class Stats {
  received = 0;
  unreadable = 0;
  latency = new Mean();
  /** The mean of the readings' error bounds is a bound on the error of their mean. */
  error = new Mean();
  ledger = new Ledger();
  /** How often the connection came back by itself. */
  reconnects = 0;
  /** @type {number | null} milliseconds from the click to the open connection */
  opening = null;

  /**
   * Count a message.
   * @param {Message} message
   * @param {{ value: number, error: number } | null} latency null while the server's clock is unknown
   */
  record(message, latency) {
    this.received += 1;
    this.ledger.enter(message);
    if (latency === null) return;
    this.latency.add(latency.value);
    this.error.add(latency.error);
  }

  /** Forget every figure. */
  reset() {
    this.received = 0;
    this.unreadable = 0;
    this.latency = new Mean();
    this.error = new Mean();
    this.opening = null;
    this.reconnects = 0;
    this.ledger.reset();
  }
}

export class Measuring {
  stats = new Stats();
  recording = new Recording();
  spans = new Spans();
  breaks = new Breaks(this.spans);
  #clock;
  #attention;

  /** @param {Reader} reader */
  constructor({ clock, attention }) {
    this.#clock = clock;
    this.#attention = attention;
  }

  /**
   * The connection is open.
   * @param {number} now performance.now()
   * @param {number | null} took milliseconds from the click; null where it came back by itself
   */
  opened(now, took) {
    if (took === null) this.stats.reconnects += 1;
    else this.stats.opening = took;
    this.spans.close("away", now);
    this.spans.close("closed", now);
    this.stats.ledger.begin();
    this.recording.begin(now);
  }

  /**
   * The connection broke and comes back by itself.
   * @param {number} now performance.now()
   */
  broke(now) {
    this.breaks.broke(now);
    this.spans.open("away", now);
    this.recording.interrupt();
  }

  /**
   * The connection ended and stays so.
   * @param {number} now performance.now()
   */
  ended(now) {
    this.breaks.end(now);
    this.spans.close("away", now);
    this.spans.open("closed", now);
    this.recording.interrupt();
  }

  /**
   * The page was hidden, or shown again.
   * @param {boolean} hidden
   * @param {number} at performance.now()
   */
  seen(hidden, at) {
    if (hidden) this.spans.open("hidden", at);
    else this.spans.close("hidden", at);
  }

  /**
   * @param {Message} message
   * @param {number} at performance.now() at its arrival
   * @param {number} payload bytes of its JSON
   * @param {number} bytes on the wire
   */
  take(message, at, payload, bytes) {
    if (message.client !== null) this.breaks.welcomed(message);
    const server = this.#clock.at(at);
    const latency = server && { value: server.time - message.sentAt, error: server.error };
    const flags =
      (this.breaks.marks(message, at) ? BROKEN : 0) |
      (this.#attention.missed(at - (latency?.value ?? 0)) ? HIDDEN : 0) |
      (latency === null ? UNTIMED : 0);
    this.stats.record(message, flags === 0 ? latency : null);
    this.recording.record({ at, latency, payload, bytes, producer: message.producer, flags });
  }

  /** @param {number} now performance.now() */
  reset(now) {
    this.stats.reset();
    this.recording.reset(now);
    this.spans.clear();
  }
}
