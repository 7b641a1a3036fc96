// @ts-check
/**
 * Which is faster here, in one sentence that claims no more than was measured. Pure.
 * @module verdict
 */
import { RESOLUTION_MS } from "./clock.js";
import { milliseconds } from "./format.js";

/** @typedef {import("./resampling.js").Interval} Interval */

/**
 * @typedef {object} Findings
 * @property {number} blocks of time in which both sides had messages
 * @property {number} samples of the side that has fewer
 * @property {Interval | null} median WebSocket minus SSE
 * @property {Interval | null} tail the same of p99; null where there are too few messages for it
 */

/** Blocks without which no interval is to be believed. */
export const BLOCKS = 20;

/** Messages of either side of which ten are above p99. */
export const TAIL = 1_000;

/**
 * Say which is faster.
 * @param {Findings} findings
 * @param {string[]} unlike why they cannot be compared; empty where they can
 */
export function verdict({ blocks, samples, median, tail }, unlike) {
  if (unlike.length > 0) return `Not comparable: ${unlike.join("; ")}.`;
  if (samples === 0) return "Connect both, and this line says which is faster here.";
  if (blocks < BLOCKS || median === null) {
    return `Too few messages yet: ${blocks} of the ${BLOCKS} stretches of time that a verdict needs.`;
  }
  const rare = tail === null ? "" : ` At p99, ${claim(tail, "")}.`;
  const sentence = claim(median, " at the median");
  return `${sentence[0].toUpperCase()}${sentence.slice(1)}.${rare}`;
}

/**
 * @param {Interval} interval
 * @param {string} where
 */
function claim({ low, middle, high }, where) {
  if (low <= 0 && high >= 0) {
    return `no difference can be told (WebSocket is between ${ahead(low)} and ${ahead(high)}, 95 % interval)`;
  }
  const name = middle < 0 ? "WebSocket" : "SSE";
  const [least, most] = [Math.abs(low), Math.abs(high)].sort((one, other) => one - other);
  if (Math.abs(middle) < RESOLUTION_MS) {
    return `${name} is faster${where} by less than the ${RESOLUTION_MS} ms that this browser's timer can tell`;
  }
  const interval = `${amount(least)} to ${amount(most)} ms, 95 % interval`;
  return `${name} is ${amount(Math.abs(middle))} ms faster${where} (${interval})`;
}

/** @param {number} value WebSocket minus SSE, milliseconds */
function ahead(value) {
  return `${amount(Math.abs(value))} ms ${value < 0 ? "faster" : "slower"}`;
}

/** @param {number} value */
function amount(value) {
  if (value > 0 && value < 0.01) return "under 0.01";
  return value < 1 ? value.toFixed(2) : milliseconds(value);
}
