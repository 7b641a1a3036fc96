// @ts-check
/**
 * Kinds of values, and numbers as readers see them. Pure.
 * @module value
 */
import { NONE, clip, oneLine } from "./format.js";

/**
 * How a value is shown: a number, or a dict of which at least half are numbers, as a chart, a bool as a state with its history,
 * a text as lines, and anything else as a table.
 * @typedef {"number" | "lines" | "state" | "text" | "table"} Kind
 */

/** Decimals of a number, at the most. */
const MAX_DECIMALS = 6;
/** Digits of a number that its decimals fill up to. */
const DIGITS = 4;
/** Digits of a change that are shown at the least. */
const CHANGE_DIGITS = 2;
/** Numbers outside these bounds are written with an exponent. */
const LARGEST = 1e12;
const SMALLEST = 1e-5;

const MAX_JSON_CHARS = 300;
const MAX_NUMBER_CHARS = 40;

/**
 * Return how a value is shown.
 * @param {unknown} value undefined for a message that has only a text
 * @param {Kind | null} [before] how the last value with numbers was shown: a dict continues its lines with any number
 * @returns {Kind | null} null for null, which is shown as a gap in what was there before
 */
export function kindOf(value, before = null) {
  if (value === null) return null;
  if (typeof value === "number") return "number";
  if (typeof value === "boolean") return "state";
  if (typeof value === "undefined" || typeof value === "string") return "text";
  return isDict(value) && hasLines(Object.values(value), before === "lines") ? "lines" : "table";
}

/**
 * Return whether entries of a dict are drawn: at least half are numbers. A text that reads as one counts: it is a mistake.
 * @param {unknown[]} entries
 * @param {boolean} isAnyEnough
 */
function hasLines(entries, isAnyEnough) {
  const others = entries.filter((each) => !isPoint(each) && !readsAsNumber(each)).length;
  const numbers = entries.filter((each) => each !== null).length - others;
  return entries.some(isNumber) && (isAnyEnough || numbers >= others);
}

/** @param {unknown} value */
function readsAsNumber(value) {
  return typeof value === "string" && value.length <= MAX_NUMBER_CHARS && /^\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)\s*$/.test(value);
}

/**
 * Return whether a value is a dict.
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isDict(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Return whether an entry of a dict is a point of its line: a number, or null for a gap.
 * @param {unknown} value
 */
export function isPoint(value) {
  return value === null || isNumber(value);
}

/** @param {unknown} value */
function isNumber(value) {
  return typeof value === "number";
}

/**
 * Return the decimals that a number needs to be shown with four digits.
 * @param {number} value
 * @param {number} [least] size that it has at the least: one near zero among large ones needs no more decimals
 */
export function decimalsOf(value, least = 0) {
  const size = Math.max(Math.abs(value), least);
  const wanted = size < SMALLEST ? MAX_DECIMALS : DIGITS - 1 - Math.floor(Math.log10(size));
  return size >= LARGEST ? 0 : ownDecimals(value, wanted);
}

/**
 * Return the decimals that a number has.
 * @param {number} value
 * @param {number} [most] it is rounded to these
 */
export function ownDecimals(value, most = MAX_DECIMALS) {
  if (Number.isInteger(value) || Math.abs(value) >= LARGEST) return 0;
  const [, decimals = ""] = value.toFixed(bounded(most)).split(".");
  return decimals.replace(/0+$/, "").length;
}

/**
 * Return the decimals that a change needs to be seen.
 * @param {number} change
 */
export function changeDecimals(change) {
  return change === 0 ? 0 : bounded(CHANGE_DIGITS - 1 - Math.floor(Math.log10(Math.abs(change))));
}

/** @param {number} decimals */
function bounded(decimals) {
  return Math.min(Math.max(decimals, 0), MAX_DECIMALS);
}

/** @type {Map<number, Intl.NumberFormat>} */
const formats = new Map();

/**
 * Format a number for readers.
 * @param {number} value NaN for none
 * @param {number} decimals
 */
export function numberText(value, decimals) {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return NONE;
  if (size >= LARGEST || (size > 0 && size < SMALLEST)) return value.toExponential(DIGITS - 1);
  let format = formats.get(decimals);
  if (format === undefined) {
    format = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    formats.set(decimals, format);
  }
  // What is rounded to zero has no sign.
  return format.format(value).replace(/^-(?=[0.]*$)/, "").replace(/^-/, "\u2212");
}

/**
 * Format a change with its sign.
 * @param {number} change
 * @param {number} decimals
 */
export function changeText(change, decimals) {
  const text = numberText(Math.abs(change), decimals);
  if (/^[0.,]*$/.test(text)) return `±${text}`;
  return (change > 0 ? "+" : "\u2212") + text;
}

/**
 * Format seconds, roughly.
 * @param {number} seconds
 */
export function spanText(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/**
 * Write a span to the second.
 * @param {number} seconds a whole number
 */
export function exactSpan(seconds) {
  const rest = seconds % 60;
  return seconds < 60 || rest === 0 ? spanText(seconds) : `${Math.floor(seconds / 60)} min ${rest} s`;
}

/**
 * Write any JSON on one line.
 * @param {unknown} value
 */
export function jsonText(value) {
  if (typeof value === "string") return oneLine(clip(value, MAX_JSON_CHARS));
  // Without groups: a number in a table may be a year, or an id that somebody copies.
  if (typeof value === "number") return numberText(value, ownDecimals(value)).replaceAll(",", "");
  if (value === null || value === undefined) return NONE;
  return oneLine(clip(JSON.stringify(value), MAX_JSON_CHARS));
}

/**
 * Return a message's text for a list: a dict of numbers by its keys, and anything else as the server has written it.
 * @param {import("./message.js").Message} message
 */
export function lineText({ message, value }) {
  if (!isDict(value) || kindOf(value) !== "lines" || !Object.values(value).every(isPoint)) return message;
  return Object.entries(value)
    .map(([key, number]) => `${key} ${jsonText(number)}`)
    .join(", ");
}
