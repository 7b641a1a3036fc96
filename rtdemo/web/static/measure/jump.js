// @ts-check
/**
 * Detects that latency jumped for good, as it does when the server's clock is set. Compares the least latencies of
 * consecutive blocks: a slow message or a short stall changes none of them. A jump is no proof, only a reason to measure
 * the clock. Pure.
 * @module measure/jump
 */

/** Size of a block: this many messages and this many milliseconds. */
const MIN_MESSAGES = 3;
const MIN_MS = 1_000;

/** @typedef {{ since: number, count: number, least: number, error: number }} Block */

export class JumpDetector {
  /** @type {Block | null} */
  #previous = null;
  /** @type {Block | null} */
  #block = null;

  /**
   * Take a message, and return whether it completes a block that differs from the previous one by more than the errors.
   * @param {number} at performance.now() at its arrival
   * @param {{ value: number, error: number }} latency milliseconds
   */
  jumps(at, { value, error }) {
    const block = (this.#block ??= { since: at, count: 0, least: Infinity, error: 0 });
    block.count += 1;
    block.least = Math.min(block.least, value);
    block.error = Math.max(block.error, error);
    if (block.count < MIN_MESSAGES || at - block.since < MIN_MS) return false;
    const previous = this.#previous;
    this.#previous = block;
    this.#block = null;
    return previous !== null && Math.abs(block.least - previous.least) > block.error + previous.error;
  }

  /** Forget every block. */
  clear() {
    this.#previous = this.#block = null;
  }
}
