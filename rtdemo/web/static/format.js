// @ts-check
/**
 * Numbers, times and texts as people read them. Pure functions: no page, no clock.
 * @module format
 */

/** Stands where there is no figure yet. */
export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/**
 * Write a count, thousands grouped.
 * @param {number} value
 */
export function count(value) {
  return whole.format(value);
}

/**
 * Write milliseconds without their unit: tenths below 100, whole above.
 * @param {number | null} value
 */
export function milliseconds(value) {
  if (value === null) return NONE;
  return (Math.abs(value) < 99.95 ? tenths : whole).format(value);
}

/**
 * Write an error bound without its unit, rounded up, so that it never claims more than was measured.
 * @param {number} value
 */
export function margin(value) {
  return milliseconds(Math.ceil(value * 10 - 1e-6) / 10);
}

/**
 * Write a reading and its error. A reading smaller than its error is not a figure but a bound, and one that is before the
 * sending by more than the error means that a clock was set meanwhile.
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
 * Write a reading in running text, with its unit.
 * @param {number | null} value milliseconds
 * @param {number | null} error milliseconds, plus or minus
 */
export function stated(value, error) {
  const { prefix, value: figure } = reading(value, error);
  return `${prefix} ${figure} ms`.trim();
}

/**
 * Write the local time of day with milliseconds.
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
 * Cut a text to a length, never through a surrogate pair, and say so with an ellipsis.
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
 * Show what a screen would hide: control characters as their pictures (␀ to ␟, ␡), and whatever turns
 * the direction of writing around by its code point. Line feeds and tabs stay.
 * @param {string} text
 */
export function visible(text) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421")
    .replace(/[\u0080-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, codePoint);
}

/**
 * Show a text on one line, line feeds and tabs as pictures too.
 * @param {string} text
 */
export function oneLine(text) {
  return visible(text).replace(/\n/g, "\u240a").replace(/\t/g, "\u2409");
}

/** @param {string} character */
function codePoint(character) {
  return `[U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}]`;
}
