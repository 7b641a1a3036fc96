// @ts-check
/**
 * The decimals with which the numbers of one line are shown: enough for four digits, and for the largest of the recent
 * changes, but no more than the numbers have. Pure.
 * @module view/decimals
 */
import { changeDecimals, decimalsOf, ownDecimals } from "../value.js";

/** Part of the largest size and change that is kept at each number: they are those of the last ten thousand or so. */
const KEPT = 0.9999;
/** Part of the size below which a number counts as near zero. */
const SMALL_PART = 0.2;

export class Decimals {
  /** Fewer again only after a larger change, so that figures do not jump. */
  wanted = 0;
  #last = NaN;
  #size = 0;
  #change = 0;
  #digits = 0;
  #own = 0;

  /**
   * Take the next number.
   * @param {number} value
   */
  take(value) {
    this.#size = Math.max(Math.abs(value), this.#size * KEPT);
    this.#change = Math.max(Math.abs(value - this.#last) || 0, this.#change * KEPT);
    this.#last = value;
    this.#digits = Math.max(this.#digits, decimalsOf(value, this.#size * SMALL_PART));
    this.#own = Math.max(this.#own, ownDecimals(value));
    this.wanted = Math.max(this.#digits, Math.min(this.#own, changeDecimals(this.#change)));
  }
}
