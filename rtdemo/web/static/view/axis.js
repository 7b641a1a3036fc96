// @ts-check
/**
 * A linear scale with round ticks, and the time that the charts show. Pure.
 * @module view/axis
 */
import { MAX_AUTO_S } from "./address.js";

/** @typedef {import("./series.js").Series} Series */

/**
 * @typedef {object} Axis
 * @property {number} low
 * @property {number} high
 * @property {number[]} ticks
 * @property {number} decimals of the ticks
 */

/** Steps between two ticks, times a power of ten. */
const STEPS = [1, 2, 2.5, 5, 10];

/**
 * Return a scale that contains two values, with round ticks.
 * @param {number} least
 * @param {number} most
 * @param {number} wanted number of ticks, about
 * @returns {Axis}
 */
export function axis(least, most, wanted) {
  let [low, high] = [least, most];
  if (!(high - low > Math.abs(high) * 1e-9)) {
    const margin = Math.abs(high) * 0.05 || 1;
    [low, high] = [low - margin, high + margin];
  }
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  let index = STEPS.findIndex((each) => each * power >= rough * 0.999);
  // Two ticks at the least: one gives no scale.
  if (index > 0 && marks(low, high, STEPS[index] * power).length < 2) index -= 1;
  const step = STEPS[index] * power;
  const decimals = Math.max(0, -Math.floor(Math.log10(power)) + (STEPS[index] === 2.5 ? 1 : 0));
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

/**
 * Find the least and the largest value of a series' lines since a moment.
 * @param {Series} series
 * @param {number} from milliseconds since the epoch
 * @param {number} to
 * @returns {{ low: number, high: number }} infinite if there is none
 */
export function extent(series, from, to) {
  let low = Infinity;
  let high = -Infinity;
  const [start, end] = [series.since(from), series.since(to)];
  for (let line = 0; line < series.lines; line += 1) {
    const [lows, highs] = [series.low[line], series.high[line]];
    for (let index = start; index < end; index += 1) {
      if (lows[index] < low) low = lows[index];
      if (highs[index] > high) high = highs[index];
    }
  }
  return { low, high };
}

/** Lengths of a time axis that fits the data, seconds. */
const SPANS_S = [60, 120, 300];

/**
 * Return the seconds that charts show: the chosen window, or where none is chosen what fits the data.
 * @param {number | null} window seconds; null for what fits
 * @param {number} age of the oldest point, seconds
 */
export function shownSeconds(window, age) {
  return window ?? SPANS_S.find((span) => span >= age) ?? MAX_AUTO_S;
}
