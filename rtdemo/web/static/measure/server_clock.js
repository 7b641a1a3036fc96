// @ts-check
/**
 * Estimates the server's clock from probes, with an error bound.
 *
 * A probe requests the server's time. The server reads its clock between the start of the request and the first byte of
 * the response, so the error is at most half that time, and a tick of performance.now() by which both ends may be rounded.
 * Between probes, performance.now() gives the time. Its own tick is part of the error too, and the error grows by the
 * frequency tolerance of RFC 5905, section 7.2.
 * @module measure/server_clock
 */
import { measureTick } from "./tick.js";

/**
 * @typedef {object} Reading
 * @property {number} offset server time minus performance.now(), milliseconds
 * @property {number} error plus or minus, milliseconds, at the time of the reading
 * @property {number} at performance.now() at the time of the reading
 */

/** @typedef {(tick: number) => Promise<Reading>} Probe given the tick of performance.now() */

/** Milliseconds of error per millisecond of age: 15 ppm. */
const FREQUENCY_TOLERANCE = 15e-6;
const PROBES_PER_ROUND = 10;
const ROUND_INTERVAL_MS = 30_000;
const PROBE_TIMEOUT_MS = 5_000;
/** Least time between two rounds because of suspicious latencies. It doubles with each round that finds no cause. */
const MIN_SUSPICION_INTERVAL_MS = 1_000;

/**
 * The last time in the browser's record that is surely before the server read its clock. Firefox records requestStart
 * after it has sent the request: of 400 probes on one machine, 26 show that the server had answered by then.
 */
const SURE_START = CSS.supports("-moz-appearance", "none") ? "fetchStart" : "requestStart";

/**
 * Turn the three times of a probe into a reading.
 * @param {number} before performance.now() before the server read its clock
 * @param {number} server the server's time, milliseconds since the epoch
 * @param {number} after performance.now() after the server read its clock
 * @param {number} tick of performance.now(), milliseconds
 * @returns {Reading}
 */
export function readingFrom(before, server, after, tick) {
  return { offset: server - (before + after) / 2, error: (after - before) / 2 + tick, at: after };
}

/**
 * Bound the error of a reading at a later moment.
 * @param {Reading} reading
 * @param {number} now performance.now()
 * @returns {number} milliseconds
 */
export function errorAt(reading, now) {
  return reading.error + Math.max(0, now - reading.at) * FREQUENCY_TOLERANCE;
}

/**
 * Return whether two readings cannot both be true: a clock was set or a machine slept.
 * @param {Reading} kept
 * @param {Reading} fresh
 */
function contradict(kept, fresh) {
  return Math.abs(kept.offset - fresh.offset) > errorAt(kept, fresh.at) + fresh.error;
}

/**
 * Return the reading with the smaller error, or the fresh one if they contradict each other.
 * @param {Reading | null} kept
 * @param {Reading} fresh
 * @returns {Reading}
 */
export function betterReading(kept, fresh) {
  if (kept === null) return fresh;
  return contradict(kept, fresh) || fresh.error <= errorAt(kept, fresh.at) ? fresh : kept;
}

export class ServerClock {
  /** Tick of performance.now(), milliseconds. */
  #tick;
  /** @type {Reading | null} */
  #reading = null;
  #probe;
  #changed;
  #clockSet;
  #measuring = false;
  #roundComplete = false;
  #measuredAt = -Infinity;
  /** performance.now() of the last reading: until then, the readings agree with the kept one. */
  #confirmedAt = -Infinity;
  /** performance.now() from which a suspicion starts a round. */
  #suspectAfter = -Infinity;
  #suspicionInterval = MIN_SUSPICION_INTERVAL_MS;

  /**
   * @param {Probe} probe
   * @param {() => void} [changed] called after each reading
   * @param {(since: number) => void} [clockSet] called when a clock was set, some time after performance.now() was `since`
   * @param {number} [tick] of performance.now(), milliseconds
   */
  constructor(probe, changed = () => {}, clockSet = () => {}, tick = measureTick()) {
    this.#clockSet = clockSet;
    this.#tick = tick;
    this.#probe = probe;
    this.#changed = changed;
  }

  /**
   * Return the server's time at a moment. It is unknown until the first round ends. The first probes have the largest
   * errors, because they open a connection, and the worst sample sets the error of a percentile.
   * @param {number} at performance.now(), rounded to its tick
   * @returns {{ time: number, error: number } | null} milliseconds; null while unknown
   */
  at(at) {
    if (this.#reading === null || !this.#roundComplete) return null;
    return { time: at + this.#reading.offset, error: errorAt(this.#reading, at) + this.#tick };
  }

  /**
   * Run a round soon, because latencies look as if a clock was set.
   * @param {number} at performance.now()
   */
  suspect(at) {
    if (this.#measuring || at < this.#suspectAfter) return;
    this.#suspectAfter = at + this.#suspicionInterval;
    this.#suspicionInterval = Math.min(2 * this.#suspicionInterval, ROUND_INTERVAL_MS);
    void this.measure();
  }

  /** Forget the reading, because performance.now() stopped meanwhile, and run a round of probes. */
  distrust() {
    this.#reading = null;
    this.#roundComplete = false;
    void this.measure();
  }

  /** Run one round of probes. A failed probe ends the round and keeps the reading. */
  async measure() {
    if (this.#measuring) return;
    this.#measuring = true;
    this.#measuredAt = performance.now();
    try {
      for (let i = 0; i < PROBES_PER_ROUND; i += 1) {
        this.#take(await this.#probe(this.#tick));
        this.#changed();
      }
    } catch {
      // The panels report that the server is unreachable. If there is no reading yet, the next round starts sooner.
      if (this.#reading === null) this.#measuredAt = -Infinity;
    } finally {
      this.#measuring = false;
      this.#roundComplete = this.#reading !== null;
      this.#changed();
    }
  }

  /**
   * Take a reading. If it contradicts the kept one, the time is unknown until the round ends, and was wrong since some
   * moment after the last reading.
   * @param {Reading} fresh
   */
  #take(fresh) {
    const kept = this.#reading;
    this.#reading = betterReading(kept, fresh);
    if (kept !== null && contradict(kept, fresh)) {
      this.#roundComplete = false;
      this.#suspectAfter = -Infinity;
      this.#suspicionInterval = MIN_SUSPICION_INTERVAL_MS;
      this.#clockSet(this.#confirmedAt);
    }
    this.#confirmedAt = fresh.at;
  }

  /** Run a round now, and every 30 s while the page is visible. */
  start() {
    const measureIfDue = () => {
      if (!document.hidden && performance.now() - this.#measuredAt >= ROUND_INTERVAL_MS) void this.measure();
    };
    setInterval(measureIfDue, ROUND_INTERVAL_MS / 6);
    document.addEventListener("visibilitychange", measureIfDue);
    measureIfDue();
  }
}

/**
 * Request the server's time. The browser's record of the request excludes the time in the browser's queues, so its
 * error is smaller than with times from the script. If there is no record, use the times from the script.
 * @param {string} url
 * @param {number} tick of performance.now(), milliseconds
 * @returns {Promise<Reading>}
 */
export async function probe(url, tick) {
  const before = performance.now();
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  const after = performance.now();
  const { now } = await response.json();
  if (typeof now !== "number") throw new TypeError(`${url} returned no time`);
  const record = performance.getEntriesByName(response.url, "resource").at(-1);
  performance.clearResourceTimings();
  if (!(record instanceof PerformanceResourceTiming)) return readingFrom(before, now, after, tick);
  const { [SURE_START]: start, responseStart } = record;
  const isConsistent = start >= before && responseStart >= start && responseStart <= after;
  return isConsistent ? readingFrom(start, now, responseStart, tick) : readingFrom(before, now, after, tick);
}
