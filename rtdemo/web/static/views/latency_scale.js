// @ts-check
/**
 * The one scale on which every latency is drawn: logarithmic, from 0.1 ms to a power of ten, so that 1 ms and the
 * seconds of a break fit on one picture, and a new maximum seldom moves anything. Pure.
 * @module views/latency_scale
 */

/** Milliseconds at the foot of the scale; what is less is drawn there. */
export const FOOT = 0.1;
const FOOT_DECADE = -1;

/** The scale ends at 100 ms at least, and at 100 s at most. */
const LEAST = 2;
const MOST = 5;

/**
 * Choose the power of ten at which the scale ends.
 * @param {number} max the largest latency on the picture, milliseconds
 */
export function topDecade(max) {
  return Math.min(MOST, Math.max(LEAST, Math.ceil(Math.log10(Math.max(max, FOOT)))));
}

/**
 * Place a latency on the scale.
 * @param {number} value milliseconds
 * @param {number} top power of ten
 * @returns {number} 0 at the foot, 1 at the top
 */
export function place(value, top) {
  if (value <= FOOT) return 0;
  return Math.min(1, (Math.log10(value) - FOOT_DECADE) / (top - FOOT_DECADE));
}

/**
 * List the powers of ten on the scale with their names.
 * @param {number} top power of ten
 * @returns {{ value: number, name: string }[]}
 */
export function decades(top) {
  const values = Array.from({ length: top - FOOT_DECADE + 1 }, (_, index) => 10 ** (index + FOOT_DECADE));
  return values.map((value) => ({ value, name: value < 1000 ? `${Number(value.toFixed(1))} ms` : `${value / 1000} s` }));
}
