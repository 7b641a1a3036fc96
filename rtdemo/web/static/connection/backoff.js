// @ts-check
/**
 * Waits between the tries to reconnect. Pure.
 * @module connection/backoff
 */

export const FIRST_RETRY_MS = 500;

/** With the time that one try may take, this is how late an outage's end is noticed at the most. */
export const MAX_RETRY_MS = 5_000;

/** Exponential back-off with jitter, so that clients do not reconnect all at once. */
export class Backoff {
  #tries = 0;
  #random;

  /** @param {() => number} random from 0 to 1 */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /**
   * Return the wait before the next try: half of it fixed, half random.
   * @returns {number} milliseconds
   */
  next() {
    const most = Math.min(FIRST_RETRY_MS * 2 ** this.#tries, MAX_RETRY_MS);
    this.#tries += 1;
    return most * (0.5 + this.#random() / 2);
  }

  /** Start again from the shortest wait. */
  reset() {
    this.#tries = 0;
  }
}
