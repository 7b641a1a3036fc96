// @ts-check
/**
 * Waits between the tries to reconnect. Pure.
 * @module client/backoff
 */

export const FIRST_RETRY_MS = 500;

/** With the time that one try may take, this is how late an outage's end is noticed at the most. */
export const MAX_RETRY_MS = 5_000;

/** Exponential back-off with jitter, so that clients do not reconnect all at once. */
export class Backoff {
  #tries = 0;
  #firstMs;
  #maxMs;

  /**
   * @param {number} [firstMs] longest wait before the first try; it doubles with each
   * @param {number} [maxMs] it doubles up to this
   */
  constructor(firstMs = FIRST_RETRY_MS, maxMs = MAX_RETRY_MS) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
  }

  /**
   * Return the wait before the next try: half of it fixed, half random.
   * @returns {number} milliseconds
   */
  next() {
    const most = Math.min(this.#firstMs * 2 ** this.#tries, this.#maxMs);
    this.#tries += 1;
    return most * (0.5 + Math.random() / 2);
  }

  /** Start again from the shortest wait. */
  reset() {
    this.#tries = 0;
  }
}
