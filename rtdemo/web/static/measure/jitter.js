// @ts-check
/**
 * Interarrival jitter (RFC 3550, section 6.4.1): the difference between the latencies of consecutive messages, smoothed
 * by a sixteenth. The clocks' offset cancels out, so jitter has no clock error. Pure.
 * @module measure/jitter
 */

export class Jitter {
  /** @type {number | null} milliseconds; null before the second message */
  value = null;
  /** @type {number | null} */
  #last = null;

  /** @param {number} latency milliseconds */
  add(latency) {
    if (this.#last !== null) {
      const jitter = this.value ?? 0;
      this.value = jitter + (Math.abs(latency - this.#last) - jitter) / 16;
    }
    this.#last = latency;
  }

  /** Record a message that was left out: the next one has no predecessor. */
  interrupt() {
    this.#last = null;
  }

  clear() {
    this.value = null;
    this.#last = null;
  }
}
