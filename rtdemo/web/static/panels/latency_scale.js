// @ts-check
/**
 * The logarithmic scale of all charts, from 0.1 ms to a power of ten. It fits both 1 ms and the seconds of a fault, and a
 * new maximum seldom changes it. Pure.
 * @module panels/latency_scale
 */

/** Lower end of the scale; smaller latencies are drawn there. */
const SCALE_MIN_MS = 0.1;
const MIN_DECADE = -1;

/** Bounds of the upper end: 100 ms and 100 s, as powers of ten. */
const LEAST_TOP_DECADE = 2;
const MOST_TOP_DECADE = 5;

/**
 * Choose the upper end of the scale.
 * @param {number} max the largest latency shown, milliseconds
 * @returns {number} a power of ten
 */
export function topDecade(max) {
  return Math.min(MOST_TOP_DECADE, Math.max(LEAST_TOP_DECADE, Math.ceil(Math.log10(Math.max(max, SCALE_MIN_MS)))));
}

/**
 * Place a latency on the scale.
 * @param {number} value milliseconds
 * @param {number} top power of ten
 * @returns {number} from 0 at the lower end to 1 at the upper
 */
export function place(value, top) {
  if (value <= SCALE_MIN_MS) return 0;
  return Math.min(1, (Math.log10(value) - MIN_DECADE) / (top - MIN_DECADE));
}

/**
 * List the powers of ten on the scale with their labels.
 * @param {number} top power of ten
 * @returns {{ value: number, name: string }[]}
 */
export function decades(top) {
  const values = Array.from({ length: top - MIN_DECADE + 1 }, (_, index) => 10 ** (index + MIN_DECADE));
  return values.map((value) => ({ value, name: value < 1000 ? `${Number(value.toFixed(1))} ms` : `${value / 1000} s` }));
}
