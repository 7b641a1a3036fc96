// @ts-check
/**
 * Formats numbers, times and texts for readers. Pure functions.
 * @module format
 */

/** Shown while there is no figure. */
export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/**
 * Format a count with grouped thousands.
 * @param {number} value
 */
export function count(value) {
  return whole.format(value);
}

/**
 * Format milliseconds without a unit: tenths below 100, whole numbers above.
 * @param {number | null} value
 */
export function milliseconds(value) {
  if (value === null) return NONE;
  if (Math.abs(value) < 0.05) return tenths.format(0); // and not -0.0
  return (Math.abs(value) < 99.95 ? tenths : whole).format(value);
}

/**
 * Format a length of time with its unit: whole milliseconds below 0.1 s, and tenths of a second above.
 * @param {number} ms
 */
export function duration(ms) {
  return ms < 100 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * Format an error bound without a unit, rounded up, so that it never claims more than was measured.
 * @param {number} value milliseconds
 */
export function margin(value) {
  const steps = value < 99.95 ? 10 : 1;
  return milliseconds(Math.ceil(value * steps - 1e-6) / steps);
}

/**
 * Format a latency and its error. A latency below its error is shown as a bound. One that is negative by more than its
 * error means that a clock was set meanwhile.
 * @param {number | null} value milliseconds
 * @param {number | null} error milliseconds, plus or minus
 * @returns {{ prefix: string, value: string, note: string }}
 */
export function reading(value, error) {
  if (value === null || error === null) return { prefix: "", value: NONE, note: "no reading yet" };
  if (value < -error) return { prefix: "", value: NONE, note: "a clock was set" };
  if (value > error) return { prefix: "", value: milliseconds(value), note: `± ${margin(error)} ms` };
  const bound = Math.max(value + error, error);
  return { prefix: "under", value: margin(bound), note: "below clock error" };
}

/**
 * Format a latency with its unit, for running text.
 * @param {number | null} value milliseconds
 * @param {number | null} error milliseconds, plus or minus
 */
export function readingText(value, error) {
  const { prefix, value: figure } = reading(value, error);
  return `${prefix} ${figure} ms`.trim();
}

/**
 * Format the local time of day with milliseconds.
 * @param {number} at milliseconds since the epoch
 */
export function timeOfDay(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return NONE;
  const pad = (/** @type {number} */ part, width = 2) => String(part).padStart(width, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => pad(part));
  return `${clock.join(":")}.${pad(date.getMilliseconds(), 3)}`;
}

/**
 * Cut a text to a length, never through a surrogate pair, and mark the cut with an ellipsis.
 * @param {string} text
 * @param {number} limit UTF-16 units
 */
export function clip(text, limit) {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  const cut = last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit;
  return `${text.slice(0, cut)}…`;
}

/**
 * Make hidden characters visible: control characters as their pictures (␀ to ␟, ␡), and characters that change the
 * writing direction as code points. Line feeds and tabs stay.
 * @param {string} text
 */
export function visible(text) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421")
    .replace(/[\u0080-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, codePoint);
}

/**
 * Make hidden characters visible, on one line: line feeds and tabs as pictures too.
 * @param {string} text
 */
export function oneLine(text) {
  return visible(text).replace(/\n/g, "\u240a").replace(/\t/g, "\u2409");
}

/** @param {string} character */
function codePoint(character) {
  return `[U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}]`;
}
