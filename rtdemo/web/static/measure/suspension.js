// @ts-check
/**
 * Detects that the page stood still: a suspended machine, a stopped browser, a debugger. Messages that were sent
 * meanwhile arrive when the page resumes, so their latency measures the pause.
 *
 * A timer compares two clocks with its last tick. On some systems performance.now() stops while the machine is
 * suspended, and Date.now() does not. Browsers delay the timers of a hidden page, so there a gap alone proves nothing.
 * @module measure/suspension
 */

/**
 * @typedef {object} Suspension
 * @property {number} from performance.now() at the last tick before it
 * @property {number} to performance.now() when the page resumed
 * @property {number} lasted milliseconds, by the clock that did not stop
 * @property {boolean} clockStopped whether performance.now() stopped meanwhile
 */

const INTERVAL_MS = 500;

/** Gap between two ticks from which the page stood still. */
const MIN_GAP_MS = 2_000;

/** Difference of the two clocks from which performance.now() stopped. Adjusting a clock causes less. */
const MIN_STOPPED_MS = 500;

export class SuspensionDetector {
  /** performance.now() when the page last resumed; -Infinity if it never stood still. */
  resumedAt = -Infinity;
  #resumed;
  #isHidden;
  #wallClock;
  #last;

  /**
   * @param {(suspension: Suspension) => void} resumed
   * @param {number} [now] performance.now()
   * @param {() => number} [wallClock] milliseconds, from a clock that never stops
   * @param {() => boolean} [isHidden] whether the page is hidden
   */
  constructor(resumed, now = performance.now(), wallClock = Date.now, isHidden = () => document.hidden) {
    this.#resumed = resumed;
    this.#wallClock = wallClock;
    this.#isHidden = isHidden;
    this.#last = { at: now, wall: wallClock(), hidden: isHidden() };
  }

  /** Check every half second. */
  start() {
    setInterval(() => this.check(performance.now()), INTERVAL_MS);
  }

  /**
   * Compare the clocks with the last tick. Called for each message too: the first one may run before the timer.
   * @param {number} at performance.now()
   */
  check(at) {
    const last = this.#last;
    this.#last = { at, wall: this.#wallClock(), hidden: this.#isHidden() };
    const gap = at - last.at;
    const wallGap = this.#last.wall - last.wall;
    const lasted = Math.max(gap, wallGap);
    const clockStopped = wallGap - gap > MIN_STOPPED_MS;
    const delayed = (last.hidden || this.#last.hidden) && !clockStopped;
    if (lasted < MIN_GAP_MS || delayed) return;
    this.resumedAt = at;
    this.#resumed({ from: last.at, to: at, lasted, clockStopped });
  }
}
