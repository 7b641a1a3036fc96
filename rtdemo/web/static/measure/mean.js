// @ts-check
/**
 * A mean that keeps no values. Pure.
 * @module measure/mean
 */

export class Mean {
  count = 0;
  sum = 0;

  /** @param {number} value */
  add(value) {
    this.count += 1;
    this.sum += value;
  }

  /** @param {number} value that was added before */
  remove(value) {
    this.count -= 1;
    this.sum = this.count === 0 ? 0 : this.sum - value;
  }

  clear() {
    this.count = 0;
    this.sum = 0;
  }

  /** @returns {number | null} null before the first value */
  get value() {
    return this.count === 0 ? null : this.sum / this.count;
  }
}
