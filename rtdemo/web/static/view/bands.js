// @ts-check
/**
 * The bands of a chart: which lines share a scale, and its ends. Pure.
 *
 * The size of a line is its largest absolute value. A line of a tenth of another one's size would be flat on the same scale:
 * then each line has its own scale, in bands below each other. What a producer declares, a unit or the ends of the scale, is
 * for all of its lines: they stay together.
 * @module view/bands
 */

/** @typedef {import("./producer_data.js").Description} Description */
/** @typedef {import("./series.js").Series} Series */

/** @typedef {"together" | "apart"} Arrangement of the lines of a chart */
/** @typedef {{ low: number, high: number }} Range the least and the largest value; infinite if there is none */
/** @typedef {{ lines: number[], low: number, high: number }} Band lines with one scale, and its ends */

/** One line is so many times as large as another that is flat. */
const FLAT_FROM = 10;
/** It is flat no more below this. A limit alone would change the chart with each value around it. */
const NOT_FLAT_BELOW = 5;
/** Smaller sizes are errors of rounding beside a size that is so many times as large. */
const MAX_ROUNDING = 1e-9;
const ROUNDING_FROM = 1e13;
/** Free part of the scale beyond values where the producer gives no bound. */
const HEADROOM = 0.06;

/**
 * Return whether a line would be flat on one scale for all.
 * @param {Range[]} ranges of each line
 * @param {boolean} before as it was for the values before these
 */
export function isAnyFlat(ranges, before) {
  const sizes = ranges.map(({ low, high }) => Math.max(-low, high));
  const largest = Math.max(...sizes);
  const some = sizes.filter((size) => size > 0 && (size > MAX_ROUNDING || size > largest / ROUNDING_FROM));
  if (some.length < 2) return before;
  return largest >= Math.min(...some) * (before ? NOT_FLAT_BELOW : FLAT_FROM);
}

/**
 * Return whether all lines of a producer have one scale, by what it declares.
 * @param {Description} description
 */
export function declaresScale({ unit, low, high }) {
  return unit !== "" || low !== null || high !== null;
}

/**
 * Arrange the lines that have values.
 * @param {Range[]} ranges of each line
 * @param {Description} description
 * @param {Arrangement} arrangement
 * @returns {Band[]} from the top; none if no line has a value
 */
export function bandsOf(ranges, description, arrangement) {
  const lines = [...ranges.keys()].filter((line) => ranges[line].low <= ranges[line].high);
  if (arrangement === "apart" && ranges.length > 1) {
    return lines.map((line) => ({ lines: [line], ...scaleOf(ranges[line], null, null) }));
  }
  if (lines.length === 0) return [];
  const low = Math.min(...ranges.map((each) => each.low));
  const high = Math.max(...ranges.map((each) => each.high));
  return [{ lines, ...scaleOf({ low, high }, description.low, description.high) }];
}

/**
 * Find the least and the largest value of each line of a series within some points.
 * @param {Series} series
 * @param {number} start first point
 * @param {number} end the one after the last
 * @returns {Range[]}
 */
export function rangesOf(series, start, end) {
  return series.low.map((lows, line) => {
    const highs = series.high[line];
    let [low, high] = [Infinity, -Infinity];
    for (let index = start; index < end; index += 1) {
      if (lows[index] < low) low = lows[index];
      if (highs[index] > high) high = highs[index];
    }
    return { low, high };
  });
}

/**
 * Return the ends of a scale: the producer's bounds, and all values. Zero is an end if values come near it.
 * @param {Range} range
 * @param {number | null} low
 * @param {number | null} high
 * @returns {Range}
 */
function scaleOf(range, low, high) {
  const room = (range.high - range.low) * HEADROOM;
  const least = low !== null && low <= range.low ? low : range.low - room;
  const most = high !== null && high >= range.high ? high : range.high + room;
  const isNearZero = range.low >= 0 && range.low < (range.high - range.low) / 2;
  const end = least < 0 && range.low >= 0 ? 0 : isNearZero ? Math.min(least, 0) : least;
  return { low: end, high: most };
}
