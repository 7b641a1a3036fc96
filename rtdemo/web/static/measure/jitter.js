// @ts-check
/**
 * Interarrival jitter as RFC 3550, section 6.4.1, defines it: by how much consecutive messages differ in the time they
 * took, smoothed by a sixteenth. Both clocks' offset drops out of the difference, so it has no clock error. Pure.
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

  /** A message was left out: the next has none to be compared with. */
  interrupt() {
    this.#last = null;
  }

  clear() {
    this.value = null;
    this.#last = null;
  }
}
