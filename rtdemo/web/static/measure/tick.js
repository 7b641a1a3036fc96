// @ts-check
/**
 * Measures the tick of performance.now(). Browsers round it to 5 µs up to 1 ms, by engine, settings and headers
 * (HR-Time, section 7.1), and none reports to how much.
 * @module measure/tick
 */

/** Steps of the clock to see. */
const STEPS = 9;
/** Bound on the time of the measurement, and so on the delay of the page: eight ticks of 1 ms. */
const MAX_MS = 8;
/** Tick of a clock that does not step in that time. */
const COARSEST_MS = 100;
/** Bound on calls, for a clock that stands still. */
const MAX_CALLS = 2_000_000;

/**
 * Return the tick of a clock: the median of its steps. A step is larger where the browser was interrupted between two
 * calls, or where a call takes longer than a tick.
 *
 * A reading is rounded down or, in browsers that hide the tick (Firefox, Chromium), down or up at random. So it differs
 * from the true time by less than a tick in either direction.
 * @param {() => number} [now] milliseconds
 * @returns {number} milliseconds
 */
export function measureTick(now = () => performance.now()) {
  const start = now();
  /** @type {number[]} */
  const steps = [];
  let last = start;
  for (let calls = 0; calls < MAX_CALLS && steps.length < STEPS && last - start < MAX_MS; calls += 1) {
    const next = now();
    if (next > last) steps.push(next - last);
    last = next;
  }
  if (steps.length === 0) return COARSEST_MS;
  return steps.sort((one, other) => one - other)[steps.length >> 1];
}
