// @ts-check
/**
 * When to try again: soon at first, then ever later, and never all clients at once.
 * @module connection/backoff
 */

export const FIRST_MS = 500;
export const LAST_MS = 30_000;

export class Backoff {
  #tries = 0;
  #random;

  /** @param {() => number} random from 0 to 1 */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /**
   * Tell how long to wait before the next try: half of it is certain, half is chance.
   * @returns {number} milliseconds
   */
  next() {
    const most = Math.min(FIRST_MS * 2 ** this.#tries, LAST_MS);
    this.#tries += 1;
    return most * (0.5 + this.#random() / 2);
  }

  /** It worked: begin afresh. */
  reset() {
    this.#tries = 0;
  }
}
