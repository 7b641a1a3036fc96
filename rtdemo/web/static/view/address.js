// @ts-check
/**
 * The view's address, which says all that it shows: ?producers=loss,acc&window=600&columns=2&bare=1. Pure.
 * @module view/address
 */
import { clip, oneLine } from "../format.js";

/** @typedef {import("./bands.js").Arrangement} Arrangement */

/** Longest time that the charts show if the address gives none, seconds. */
export const MAX_AUTO_S = 600;
export const MIN_WINDOW_S = 10;
export const MAX_WINDOW_S = 3_600;
const MAX_COLUMNS = 12;
/** What the options may be that take no names, in words. */
const ALLOWED = {
  window: `whole seconds from ${MIN_WINDOW_S} to ${MAX_WINDOW_S}`,
  columns: `a whole number from 1 to ${MAX_COLUMNS}`,
  lines: "together or apart",
  bare: "1",
};
/** The server's bound on names that one connection picks. */
export const MAX_NAMES = 100;
/** From this length on, the address takes no further name: proxies refuse a line of 8 KiB, and a name may take 1,200. */
const MAX_ADDRESS_CHARS = 6_000;

/** Parameters of the address. */
const OPTIONS = ["producers", "without", "window", "columns", "lines", "bare"];
/** Letters by which one is recognised. */
const MIN_START = 4;
/** Characters of a value that an error shows. */
const MAX_SHOWN = 40;

/**
 * @typedef {object} Options
 * @property {string[] | null} producers names, in the order of their cards, at most MAX_NAMES; null for all
 * @property {string[]} without names that are hidden, at most MAX_NAMES
 * @property {number | null} window seconds; null for what fits the data, at most MAX_AUTO_S
 * @property {number | null} columns null for those that fit the cards
 * @property {Arrangement | null} lines of charts that have several; null for what fits the values of each
 * @property {boolean} bare whether only the cards are shown
 */

/**
 * Read the options. Other values are ignored.
 * @param {string} search location.search
 * @returns {Options}
 */
export function readOptions(search) {
  const given = new URLSearchParams(search);
  const producers = namesIn(given.get("producers"));
  const without = (producers === null && namesIn(given.get("without"))) || [];
  const columns = wholeNumber(given.get("columns"), 1, MAX_COLUMNS);
  const window = wholeNumber(given.get("window"), MIN_WINDOW_S, MAX_WINDOW_S);
  return { producers, without, window, columns, lines: arrangement(given.get("lines")), bare: given.get("bare") === "1" };
}

/**
 * Read how the lines of a chart are arranged.
 * @param {string | null} text
 * @returns {Arrangement | null} null for what fits the values
 */
export function arrangement(text) {
  return text === "together" || text === "apart" ? text : null;
}

/**
 * Name a parameter of the address that is meant to be one of the options, or an option with a value that it cannot have. Any
 * other parameter is no concern of this page.
 * @param {string} search location.search
 * @returns {string} a sentence; empty if all is well
 */
export function mistakeIn(search) {
  const options = readOptions(search);
  for (const [name, text] of new URLSearchParams(search)) {
    const start = name.toLowerCase().replace(/s$/, "");
    const meant = OPTIONS.find((option) => start.length >= MIN_START && option.startsWith(start));
    if (meant !== undefined && meant !== name) return `The address has ${name}=, which is ignored: write ${meant}=.`;
    const isOff = text === "" || (name === "bare" && text === "0");
    if (isOff || !isLimited(name) || options[name]) continue;
    return `The address has ${name}=${clip(oneLine(text), MAX_SHOWN)}, which is ignored: write ${ALLOWED[name]}.`;
  }
  return "";
}

/**
 * @param {string} name
 * @returns {name is keyof typeof ALLOWED}
 */
function isLimited(name) {
  return Object.hasOwn(ALLOWED, name);
}

/** @param {string | null} text */
function namesIn(text) {
  return text === null ? null : [...new Set(text.split(",").filter(Boolean))].slice(0, MAX_NAMES);
}

/**
 * @param {string | null} text
 * @param {number} least
 * @param {number} most
 */
function wholeNumber(text, least, most) {
  const number = Number(text ?? NaN);
  return Number.isInteger(number) && number >= least && number <= most ? number : null;
}

/**
 * Write the options that the page can change into its address.
 * @param {string} href
 * @param {Options} options
 */
export function addressWith(href, { producers, without, window, columns, lines }) {
  const url = new URL(href);
  const names =
    producers === null
      ? { without: without.join(",") || null }
      : { producers: producers.filter((name) => !without.includes(name)).join(",") };
  for (const [name, value] of Object.entries({ ...names, window, columns, lines })) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, String(value));
  }
  // Names are separated by commas, which need no escape in a query.
  url.search = url.search.replaceAll("%2C", ",");
  return url.href;
}

/**
 * Return whether one more card may be hidden. Where the address picks names, the last one stays: without it, the page
 * would be empty after a reload, with nothing that brings the cards back.
 * @param {string} href
 * @param {Options} options
 */
export function mayHide(href, { producers, without, bare }) {
  if (bare) return false;
  if (producers !== null) return producers.length - without.length > 1;
  return without.length < MAX_NAMES && href.length < MAX_ADDRESS_CHARS;
}

/** Pages of the server to which a program publishes by default. */
const DEFAULT_SERVERS = ["http://localhost:3000/", "http://127.0.0.1:3000/"];

/**
 * Return the lines of Python that publish a value to the server of a page.
 * @param {string} href of the page
 */
export function snippet(href) {
  const server = new URL("./", href).href;
  const url = DEFAULT_SERVERS.includes(server) ? "" : `, url="${server.replace(/\/$/, "")}"`;
  return `import rtdemo\n\nrtdemo.publish("loss", 0.12${url})`;
}
