// @ts-check
/**
 * What one side measures of its connection: counts and averages, samples, and spans of faults and interruptions.
 * @module measure/measurement
 */
import { Faults } from "./faults.js";
import { JumpDetector } from "./jump.js";
import { Ledger } from "./ledger.js";
import { Recording } from "./recording.js";
import { BROKEN, CAUGHT_UP, HIDDEN, UNTIMED } from "./ring.js";
import { Spans } from "./spans.js";

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./server_clock.js").ServerClock} ServerClock */
/** @typedef {import("./visibility.js").PageVisibility} PageVisibility */
/** @typedef {import("./suspension.js").Suspension} Suspension */
/** @typedef {import("./suspension.js").SuspensionDetector} SuspensionDetector */
/** @typedef {{ clock: ServerClock, visibility: PageVisibility, suspension: SuspensionDetector }} Environment */

/** Counts of one side since the last Reset. */
export class Stats {
  received = 0;
  unreadable = 0;
  ledger = new Ledger();
  reconnects = 0;
  /** @type {number | null} milliseconds from the click to the open connection */
  connectionTime = null;

  /**
   * Count a message.
   * @param {Message} message
   */
  record(message) {
    this.received += 1;
    this.ledger.enter(message);
  }

  /** Everything as plain data; setting it continues earlier counts. */
  get state() {
    const { received, unreadable, reconnects, connectionTime, ledger } = this;
    return { counts: { received, unreadable, reconnects, connectionTime }, ledger: ledger.state };
  }

  set state({ counts, ledger }) {
    Object.assign(this, counts);
    this.ledger.state = ledger;
  }

  /** Clear every figure. */
  reset() {
    this.received = 0;
    this.unreadable = 0;
    this.connectionTime = null;
    this.reconnects = 0;
    this.ledger.reset();
  }
}

export class Measurement {
  stats = new Stats();
  recording = new Recording();
  spans = new Spans();
  faults = new Faults(this.spans);
  #clock;
  #visibility;
  #suspension;
  #jump = new JumpDetector();
  /** The server's time of the welcome: shared messages from before it are replayed. It has no clock error. */
  #welcomedAt = -Infinity;

  /** @param {Environment} environment */
  constructor({ clock, visibility, suspension }) {
    this.#clock = clock;
    this.#visibility = visibility;
    this.#suspension = suspension;
  }

  /**
   * Record that the connection opened.
   * @param {number} now performance.now()
   * @param {number | null} connectionTime milliseconds from the click; null for a reconnect
   */
  opened(now, connectionTime) {
    if (connectionTime === null) this.stats.reconnects += 1;
    else this.stats.connectionTime = connectionTime;
    this.spans.close("away", now);
    this.spans.close("closed", now);
    this.stats.ledger.forget(false);
    this.recording.begin(now);
  }

  /**
   * Record that nothing arrives any more, not even heartbeats.
   * @param {number} since performance.now()
   */
  silent(since) {
    this.spans.open("silent", since);
  }

  /**
   * Record that something arrives again.
   * @param {number} now performance.now()
   */
  heard(now) {
    this.spans.close("silent", now);
  }

  /**
   * Record that the connection broke and reconnects.
   * @param {number} now performance.now()
   */
  interrupted(now) {
    this.faults.connectionLost(now);
    this.spans.close("silent", now);
    this.spans.open("away", now);
    this.recording.interrupt();
  }

  /**
   * Record that the connection ended and stays closed.
   * @param {number} now performance.now()
   */
  ended(now) {
    this.faults.end(now);
    this.spans.close("silent", now);
    this.spans.close("away", now);
    this.spans.open("closed", now);
    this.recording.interrupt();
  }

  /**
   * Record that the page was hidden or shown.
   * @param {boolean} hidden
   * @param {number} at performance.now()
   */
  visibilityChanged(hidden, at) {
    if (hidden) this.spans.open("hidden", at);
    else this.spans.close("hidden", at);
  }

  /**
   * Record that the page stood still and resumed.
   * @param {Suspension} suspension
   */
  suspended({ from, to, lasted }) {
    this.spans.add({ kind: "asleep", from, to, lasted });
    this.recording.interrupt();
    this.recording.begin(to);
  }

  /**
   * Record a message that arrived.
   * @param {Message} message
   * @param {number} at performance.now() at its arrival
   * @param {number} payload bytes of its JSON
   * @param {number} bytes on the wire
   */
  take(message, at, payload, bytes) {
    this.#suspension.check(at);
    if (message.client !== null) {
      this.faults.welcomed(message);
      this.#welcomedAt = message.sentAt;
    }
    const latency = this.#latency(message, at);
    const flags =
      (this.faults.affects(message, at) ? BROKEN : 0) |
      (this.#visibility.delays(at - (latency?.value ?? 0)) ? HIDDEN : 0) |
      (latency === null ? UNTIMED : 0) |
      (this.#isCaughtUp(message) ? CAUGHT_UP : 0);
    if (flags === 0 && latency !== null && this.#jump.jumps(at, latency)) this.#clock.suspect(at);
    this.stats.record(message);
    this.recording.record({ at, latency, payload, bytes, producer: message.producer, flags });
  }

  /**
   * Record that the server's clock was set, or this page's.
   * @param {number} since performance.now() of the last reading before it
   */
  clockSet(since) {
    this.#welcomedAt = -Infinity;
    this.#jump.clear();
    this.recording.untime(since);
  }

  /**
   * Return a message's latency. One that is impossible means that a clock was set: the message arrived before it was
   * sent, or was sent before its connection, to which only shared messages are replayed.
   * @param {Message} message
   * @param {number} at performance.now() at its arrival
   * @returns {{ value: number, error: number } | null} milliseconds; null while the server's clock is unknown
   */
  #latency({ sentAt, id }, at) {
    const server = this.#clock.at(at);
    if (server === null) return null;
    const latency = { value: server.time - sentAt, error: server.error };
    if (latency.value >= -latency.error && (id !== null || sentAt >= this.#welcomedAt)) return latency;
    this.#clock.suspect(at);
    return null;
  }

  /**
   * Return whether a message was replayed to this connection, or was sent before the page resumed. While the server's
   * clock is unknown after a pause, every message may be such a one.
   * @param {Message} message
   */
  #isCaughtUp({ sentAt, id }) {
    if (id !== null && sentAt < this.#welcomedAt) return true;
    const { resumedAt } = this.#suspension;
    if (resumedAt === -Infinity) return false;
    const resumed = this.#clock.at(resumedAt);
    return resumed === null || sentAt <= resumed.time + resumed.error;
  }

  /** @param {number} now performance.now() */
  reset(now) {
    this.stats.reset();
    this.recording.reset(now);
    this.spans.clear();
  }
}
