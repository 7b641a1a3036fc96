// @ts-check
/**
 * Records the samples of one side, and the figures of those that count. Pure.
 * @module measure/recording
 */
import { count } from "../format.js";
import { Histogram } from "./histogram.js";
import { Jitter } from "./jitter.js";
import { Mean } from "./mean.js";
import { BROKEN, CAUGHT_UP, HIDDEN, Ring, UNTIMED } from "./ring.js";

/**
 * @typedef {object} Sample
 * @property {number} at performance.now() at its arrival
 * @property {{ value: number, error: number } | null} latency milliseconds; null while the server's clock is unknown
 * @property {number} payload bytes of JSON
 * @property {number} bytes on the wire
 * @property {string} producer
 * @property {number} flags why it is left out: HIDDEN, BROKEN, UNTIMED, CAUGHT_UP
 */

/** Bound on producers that have a number of their own; further ones share the last. */
const MAX_PRODUCERS = 255;

/** Samples from which jitter is computed again: earlier ones have a weight of (15/16)^200, which is nothing. */
const JITTER_SAMPLES = 200;

/** Window for messages a second. */
const RATE_WINDOW_MS = 10_000;

export class Recording {
  ring = new Ring();
  histogram = new Histogram();
  jitter = new Jitter();
  /** Milliseconds. */
  latency = new Mean();
  /** Milliseconds. The mean of the samples' error bounds is a bound on the error of their mean. */
  meanError = new Mean();
  /** @type {string[]} producers, by the number that the ring stores */
  names = [];
  /** Largest error bound of a sample that counts, which bounds every percentile's error. @type {number | null} */
  error = null;
  /** Numbers of samples left out of the figures, by reason. */
  left = nothingLeft();
  wire = { messages: 0, bytes: 0 };
  /** Sums of all samples, by the producer's number. */
  payload = { messages: new Float64Array(MAX_PRODUCERS + 1), bytes: new Float64Array(MAX_PRODUCERS + 1) };
  #since = 0;

  /** @param {Sample} sample */
  record({ at, latency, payload, bytes, producer, flags }) {
    const number = this.#number(producer);
    this.ring.push(at, latency?.value ?? NaN, latency?.error ?? NaN, bytes, number, flags);
    this.wire.messages += 1;
    this.wire.bytes += bytes;
    this.payload.messages[number] += 1;
    this.payload.bytes[number] += payload;
    if (latency === null || flags !== 0) this.#leaveOut(flags);
    // The figures have the values as the ring keeps them, so that they can be removed again.
    else this.#count(Math.fround(latency.value), Math.fround(latency.error));
  }

  /**
   * Remove the latencies since a moment from the ring and every figure: the clock that timed them was wrong.
   * @param {number} since performance.now()
   */
  untime(since) {
    const { ring } = this;
    const first = ring.since(since);
    // Samples that the ring no longer has cannot be removed: then the figures begin anew.
    const isComplete = first > 0 || ring.total === ring.length;
    for (let index = first; index < ring.length; index += 1) {
      const slot = ring.slot(index);
      if (ring.flags[slot] === 0) {
        this.left.untimed += 1;
        if (isComplete) this.#uncount(ring.latency[slot], ring.error[slot]);
      }
      ring.flags[slot] |= UNTIMED;
      ring.latency[slot] = ring.error[slot] = NaN;
    }
    if (isComplete) this.#scan(first);
    else this.#clearFigures();
  }

  /** Record an interruption: the next message has no predecessor for jitter. */
  interrupt() {
    this.jitter.interrupt();
  }

  /**
   * Start the window for messages a second.
   * @param {number} at performance.now()
   */
  begin(at) {
    this.#since = at;
  }

  /**
   * Return messages a second over the last ten seconds, or since the connection opened or the page resumed. Messages
   * that were caught up do not count: they are of an earlier time.
   * @param {number} now performance.now()
   * @returns {number | null} null in the first second
   */
  rate(now) {
    const { ring } = this;
    const span = Math.min(RATE_WINDOW_MS, now - this.#since);
    if (ring.length === 0 || span < 1000) return null;
    let messages = 0;
    for (let index = ring.since(now - span); index < ring.length; index += 1) {
      if ((ring.flags[ring.slot(index)] & CAUGHT_UP) === 0) messages += 1;
    }
    return (messages / span) * 1000;
  }

  /** Mean bytes on the wire. @returns {number | null} */
  get bytesPerMessage() {
    return this.wire.messages === 0 ? null : this.wire.bytes / this.wire.messages;
  }

  /** The figures as plain data, without the ring; setting it continues an earlier recording. */
  get state() {
    const { histogram, latency, meanError, error, left, wire, names, payload } = this;
    return {
      histogram: { counts: [...histogram.counts], below: histogram.below, count: histogram.count, max: histogram.max },
      jitter: this.jitter.value,
      means: [latency, meanError].map(({ count, sum }) => ({ count, sum })),
      payload: names.map((_, number) => [payload.messages[number], payload.bytes[number]]),
      ...{ error, left, wire, names },
    };
  }

  set state({ histogram, jitter, means, payload, error, left, wire, names }) {
    const { counts, ...rest } = histogram;
    Object.assign(this.histogram, rest).counts.set(counts);
    this.jitter.value = jitter;
    Object.assign(this.latency, means[0]);
    Object.assign(this.meanError, means[1]);
    payload.forEach(([messages, bytes], number) => {
      this.payload.messages[number] = messages;
      this.payload.bytes[number] = bytes;
    });
    Object.assign(this, { error, left, wire, names });
  }

  /**
   * Clear every sample and figure.
   * @param {number} at performance.now()
   */
  reset(at) {
    this.ring.clear();
    this.#clearFigures();
    this.names = [];
    this.left = nothingLeft();
    this.wire = { messages: 0, bytes: 0 };
    this.payload.messages.fill(0);
    this.payload.bytes.fill(0);
    this.begin(at);
  }

  /** Clear the figures of the samples that count. */
  #clearFigures() {
    this.histogram.clear();
    this.jitter.clear();
    this.latency.clear();
    this.meanError.clear();
    this.error = null;
  }

  /**
   * @param {number} latency milliseconds
   * @param {number} error milliseconds
   */
  #count(latency, error) {
    this.histogram.add(latency);
    this.jitter.add(latency);
    this.latency.add(latency);
    this.meanError.add(error);
    this.error = Math.max(this.error ?? 0, error);
  }

  /**
   * @param {number} latency milliseconds
   * @param {number} error milliseconds
   */
  #uncount(latency, error) {
    this.histogram.remove(latency);
    this.latency.remove(latency);
    this.meanError.remove(error);
  }

  /**
   * Compute anew what no removal can: the largest latency, the largest error, and jitter.
   * @param {number} end index of the first sample that was removed
   */
  #scan(end) {
    const { ring, jitter } = this;
    jitter.clear();
    for (let index = Math.max(0, end - JITTER_SAMPLES); index < end; index += 1) {
      const slot = ring.slot(index);
      if (ring.flags[slot] === 0) jitter.add(ring.latency[slot]);
      else jitter.interrupt();
    }
    jitter.interrupt();
    const { latency, error } = ring.largest();
    this.histogram.correctMax(latency);
    if (this.histogram.count === 0) this.error = null;
    else if (ring.total === ring.length) this.error = error;
  }

  /** @param {number} flags */
  #leaveOut(flags) {
    this.jitter.interrupt();
    if (flags & BROKEN) this.left.broken += 1;
    else if (flags & CAUGHT_UP) this.left.caughtUp += 1;
    else if (flags & HIDDEN) this.left.hidden += 1;
    else if (flags & UNTIMED) this.left.untimed += 1;
  }

  /** @param {string} name */
  #number(name) {
    const known = this.names.indexOf(name);
    if (known >= 0) return known;
    if (this.names.length >= MAX_PRODUCERS) return MAX_PRODUCERS;
    return this.names.push(name) - 1;
  }
}

function nothingLeft() {
  return { hidden: 0, broken: 0, untimed: 0, caughtUp: 0 };
}

/**
 * Describe how many samples were left out of the figures, and why.
 * @param {Recording} recording
 */
export function leftOut({ left: { hidden, broken, untimed, caughtUp } }) {
  const reasons = [
    broken && `${count(broken)} during injected faults`,
    hidden && `${count(hidden)} while the tab was hidden`,
    caughtUp && `${count(caughtUp)} caught up after an interruption`,
    untimed && `${count(untimed)} while the clock was unknown`,
  ].filter(Boolean);
  return reasons.length === 0 ? "none" : reasons.join(", ");
}
