// @ts-check
/**
 * The server's clock, as far as this page can know it.
 *
 * A probe asks the server for its time. The answer was taken between the request's start and the answer's first
 * byte, so half that time bounds the error. Between probes performance.now() goes on, and the error grows by the
 * frequency tolerance of RFC 5905, section 7.2.
 * @module measure/server_clock
 */

/**
 * @typedef {object} Reading
 * @property {number} offset server time minus performance.now(), milliseconds
 * @property {number} error plus or minus, milliseconds, when it was taken
 * @property {number} at performance.now() when it was taken
 */

/** @typedef {() => Promise<Reading>} Probe */

const DRIFT = 15e-6;
const PROBES = 10;
const REPEAT_MS = 30_000;
const PROBE_TIMEOUT_MS = 5_000;

/** What performance.now() is rounded to, so that it tells no page too much (HR-Time, section 7.1). */
export const RESOLUTION_MS = globalThis.crossOriginIsolated ? 0.005 : 0.1;

/**
 * Turn a probe's three times into a reading.
 * @param {number} before performance.now() before the server can have looked at its clock
 * @param {number} server the server's time
 * @param {number} after performance.now() after it must have
 * @param {number} [resolution] what the first and the last are rounded to
 * @returns {Reading}
 */
export function readingFrom(before, server, after, resolution = RESOLUTION_MS) {
  return { offset: server - (before + after) / 2, error: (after - before) / 2 + resolution, at: after };
}

/**
 * Bound a reading's error now.
 * @param {Reading} reading
 * @param {number} now performance.now()
 */
export function errorAt(reading, now) {
  return reading.error + Math.max(0, now - reading.at) * DRIFT;
}

/**
 * Choose the reading to go by: the surer one, unless both cannot be true. Then a clock was set, or a machine slept,
 * and only the fresh one can be trusted.
 * @param {Reading | null} kept
 * @param {Reading} fresh
 * @returns {Reading}
 */
export function choose(kept, fresh) {
  if (kept === null) return fresh;
  const aged = errorAt(kept, fresh.at);
  if (Math.abs(kept.offset - fresh.offset) > aged + fresh.error) return fresh;
  return fresh.error <= aged ? fresh : kept;
}

export class Clock {
  /** @type {Reading | null} */
  #reading = null;
  #probe;
  #changed;
  #measuring = false;
  #settled = false;
  #measuredAt = -Infinity;

  /**
   * @param {Probe} probe
   * @param {() => void} [changed] called after each reading
   */
  constructor(probe, changed = () => {}) {
    this.#probe = probe;
    this.#changed = changed;
  }

  /**
   * Tell the server's time at a moment. Within the first round of probes it is not told: the first probes are the
   * loosest, since the connection is new, and the error of a percentile is that of its worst sample.
   * @param {number} at performance.now()
   * @returns {{ time: number, error: number } | null} null while unknown
   */
  at(at) {
    if (this.#reading === null || !this.#settled) return null;
    return { time: at + this.#reading.offset, error: errorAt(this.#reading, at) };
  }

  /** Probe several times, one after the other. A probe that fails leaves what was known. */
  async measure() {
    if (this.#measuring) return;
    this.#measuring = true;
    this.#measuredAt = performance.now();
    try {
      for (let i = 0; i < PROBES; i += 1) {
        this.#reading = choose(this.#reading, await this.#probe());
        this.#changed();
      }
    } catch {
      // The server is away. The panels say so; an old reading ages, and without one the next probe comes sooner.
      if (this.#reading === null) this.#measuredAt = -Infinity;
    } finally {
      this.#measuring = false;
      this.#settled = this.#reading !== null;
      this.#changed();
    }
  }

  /** Measure now, and every 30 s while somebody looks. */
  start() {
    const due = () => {
      if (!document.hidden && performance.now() - this.#measuredAt >= REPEAT_MS) void this.measure();
    };
    setInterval(due, REPEAT_MS / 6);
    document.addEventListener("visibilitychange", due);
    due();
  }
}

/**
 * Ask a URL for the server's time. The browser's own record of the request leaves out its queues and bounds the error
 * more tightly than the script can; where there is none, the script's times serve.
 * @param {string} url
 * @returns {Promise<Reading>}
 */
export async function probe(url) {
  const before = performance.now();
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  const after = performance.now();
  const { now } = await response.json();
  if (typeof now !== "number") throw new TypeError(`${url} told no time`);
  const record = performance.getEntriesByName(response.url, "resource").at(-1);
  performance.clearResourceTimings();
  if (!(record instanceof PerformanceResourceTiming)) return readingFrom(before, now, after);
  const { requestStart, responseStart } = record;
  const fits = requestStart >= before && responseStart >= requestStart && responseStart <= after;
  return fits ? readingFrom(requestStart, now, responseStart) : readingFrom(before, now, after);
}
