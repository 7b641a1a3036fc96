// @ts-check
/**
 * The attribute `window` of an element: 90s, 10m, 1h, or seconds. Pure.
 * @module embed/window
 */
import { MAX_WINDOW_S, MIN_WINDOW_S } from "../view/address.js";

/** Seconds of each unit. @type {Record<string, number>} */
const UNITS_S = { "": 1, s: 1, m: 60, h: 3600 };

/**
 * Read the time that a chart shows. Other values are ignored.
 * @param {string | null} text
 * @returns {number | null} seconds; null for none
 */
export function windowSeconds(text) {
  const [, number, unit] = /^([1-9]\d{0,5})([smh]?)$/.exec(text ?? "") ?? [];
  const seconds = Number(number) * UNITS_S[unit];
  return seconds >= MIN_WINDOW_S && seconds <= MAX_WINDOW_S ? seconds : null;
}
