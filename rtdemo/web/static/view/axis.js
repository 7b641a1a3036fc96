// @ts-check
/**
 * A linear scale with round ticks, and the time that the charts show. Pure.
 * @module view/axis
 */
import { MAX_AUTO_S } from "./address.js";

/**
 * @typedef {object} Axis
 * @property {number} low
 * @property {number} high
 * @property {number[]} ticks
 * @property {number} decimals of the ticks
 */

/** Steps between two ticks, times a power of ten. */
const STEPS = [1, 2, 2.5, 5, 10];
/** In the place of those that are not whole, up to 2.5. */
const WHOLE_STEPS = [1, 2, 5];
/** Below this, a step may be zero. */
const MIN_STEP = 1e-300;

/**
 * Return a scale that contains two values, with round ticks.
 * @param {number} least
 * @param {number} most
 * @param {number} wanted number of ticks, about
 * @param {boolean} [areWhole] whether the values are whole numbers
 * @returns {Axis}
 */
export function axis(least, most, wanted, areWhole = false) {
  let [low, high] = [least, most];
  if (!(high - low > Math.abs(high) * 1e-9)) {
    const margin = Math.max(Math.abs(high) * 0.05, areWhole || high === 0 ? 1 : 0);
    [low, high] = [low - margin, high + margin];
  }
  const rough = (high - low) / wanted;
  // Values at the end of what a number can be.
  if (!(rough > MIN_STEP && rough < Infinity)) return { low, high, ticks: [], decimals: 0 };
  const power = 10 ** Math.floor(Math.log10(rough));
  let index = STEPS.findIndex((each) => each * power >= rough * 0.999);
  // Two ticks at the least: one gives no scale.
  if (index > 0 && marks(low, high, STEPS[index] * power).length < 2) index -= 1;
  const step = STEPS[index] * power;
  const isFraction = areWhole && step % 1 !== 0;
  const whole = isFraction && WHOLE_STEPS.find((each) => each >= step && marks(low, high, each).length > 1);
  if (whole) return { low, high, ticks: marks(low, high, whole), decimals: 0 };
  // A little more than the step: its logarithm is not exact.
  const decimals = Math.max(0, -Math.floor(Math.log10(step * 1.001)) + (STEPS[index] === 2.5 ? 1 : 0));
  return { low, high, ticks: marks(low, high, step), decimals: Math.min(decimals, 10) };
}

/**
 * Return the multiples of a step between two values.
 * @param {number} low
 * @param {number} high
 * @param {number} step
 */
function marks(low, high, step) {
  const [first, last] = [Math.ceil(low / step - 1e-6), Math.floor(high / step + 1e-6)];
  const ticks = [];
  // Not -0, which would be written with its sign.
  for (let index = first; index <= last; index += 1) ticks.push(index * step || 0);
  return ticks;
}

/** Lengths of a time axis that fits the data, seconds. */
const SPANS_S = [60, 120, 300];

/**
 * Return the seconds that a chart shows: the chosen window, or where none is chosen what fits its data.
 * @param {number | null} window seconds; null for what fits
 * @param {number} age of the oldest point, seconds
 */
export function shownSeconds(window, age) {
  return window ?? SPANS_S.find((span) => span >= age) ?? MAX_AUTO_S;
}
