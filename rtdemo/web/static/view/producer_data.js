// @ts-check
/**
 * What the view knows of one producer: its description, newest value, past values, and whether it is stale. Pure.
 * @module view/producer_data
 */
import { Decimals } from "./decimals.js";
import { Series } from "./series.js";
import { isDict, kindOf } from "../value.js";

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("../value.js").Kind} Kind */

/**
 * @typedef {object} Description
 * @property {string} title
 * @property {string} unit
 * @property {number | null} low
 * @property {number | null} high
 * @property {number | null} period seconds
 */

/** @typedef {{ at: number, text: string }} Line */
/** @typedef {{ at: number, key: string, text: string }} Undrawn a text where a line has numbers; no key for a whole value */
/** @typedef {{ epoch: string, seq: number }} Place a message in its log, among those of its producer */

/**
 * @typedef {object} Gap messages of the newest log that did not arrive
 * @property {number} after number of the last one before it; 0 for the start of the log
 * @property {number} before number of the first one behind it
 * @property {number} from milliseconds since the epoch
 * @property {number} to milliseconds since the epoch
 */

/** Bound on the lines of one chart; further keys are counted. */
export const MAX_LINES = 12;
/** Bound on the lines of text that are kept. */
const MAX_TEXTS = 50;
/** Characters of a text that are kept. */
const MAX_TEXT_CHARS = 2_000;
/** The same of a text that is not drawn. */
const MAX_UNDRAWN_CHARS = 100;
/** Bound on keys that are counted. */
const MAX_COUNTED_KEYS = 1_000;

const MIN_STALE_MS = 5_000;
const STALE_PERIODS = 3;
/** Times between messages from which the period is learned. */
const LEARNED = 8;
/** Of so few, none is taken for an outage. */
const OUTAGE_FREE = 3;
/** A clock that is set back by more than this begins a new series. Clocks of several servers differ by less. */
const SET_BACK_MS = 60_000;
/** Bound on gaps that the past may fill. */
const MAX_GAPS = 8;
/** What fills a gap is before the end of it, milliseconds. A float has this of today's times. */
const MOMENT_MS = 0.001;

/** @type {Description} */
const NOTHING = { title: "", unit: "", low: null, high: null, period: null };

export class ProducerData {
  description = NOTHING;
  /** @type {Kind | null} null before the first value */
  kind = null;
  /** The newest value; undefined for a text. @type {unknown} */
  value = undefined;
  /** The newest message's text. */
  text = "";
  /** When the newest message was sent, milliseconds since the epoch. @type {number | null} */
  at = null;
  /** Counts changes, after which the card must be painted again. */
  version = 0;
  /** Numbers: one line for a number or a bool, else one for each key. */
  series = new Series();
  /** Name of each line; one without a name for a number. @type {string[]} */
  keys = [];
  /** Newest number of each line; NaN for none. @type {number[]} */
  newest = [];
  /** Number of keys for which there is no line left. */
  moreKeys = 0;
  /** Newest first. @type {Line[]} */
  texts = [];
  /** The newest text that no line can have. @type {Undrawn | null} */
  undrawn = null;
  /** Whether its messages are in the log: such a connection resumes without a gap. */
  isShared = false;
  /** What the lines are of: those of another kind are no continuation. @type {Kind | null} */
  shape = null;
  /** Of each line. @type {Decimals[]} */
  #decimals = [];
  /** When each line had its last number. @type {number[]} */
  #seenAt = [];
  /** @type {number[]} milliseconds between the newest messages */
  #gaps = [];
  /** The newest message's log and number. Times are no order: several messages share one, and clocks are set back. */
  #newest = { epoch: "", seq: 0 };
  /** The message up to which all are known; asking for the past again sends them again. @type {Place | null} */
  #known = null;
  /** What the past that comes again may fill. @type {Gap[]} */
  #missing = [];
  /** Whether what is known is from the page itself, which the past repeats. */
  #isProvisional = false;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /** Decimals with which each line is shown. */
  get decimals() {
    return this.#decimals.map(({ wanted }) => wanted);
  }

  /** Whether its description has come, which may be empty. */
  get isDescribed() {
    return this.description !== NOTHING;
  }

  get title() {
    return this.description.title || this.name;
  }

  /** Entries of the newest dict that have no line, for they have been no numbers. @type {[string, unknown][]} */
  get others() {
    if (!isDict(this.value)) return [];
    const entries = Object.entries(this.value).slice(0, MAX_COUNTED_KEYS);
    const isPlaceLeft = this.keys.length < MAX_LINES;
    const isOther = (/** @type {unknown} */ value) => (value === null ? isPlaceLeft : typeof value !== "number");
    return entries.filter(([key, value]) => isOther(value) && !this.keys.includes(key));
  }

  /**
   * Return how its card shows it. What comes among numbers and is none leaves their chart, while that has a number.
   * @param {number} from start of the chart's time, milliseconds since the epoch
   * @returns {Kind}
   */
  shownAs(from) {
    const { kind, shape, value } = this;
    const isSameDict = shape === "lines" && isDict(value) && this.keys.some((key) => Object.hasOwn(value, key));
    const isAmong = kind === "text" || (kind === "table" && isSameDict);
    const hasNumber = this.series.length > 0 && Math.max(...this.#seenAt) >= from;
    return (isAmong && hasNumber ? shape : kind) ?? "text";
  }

  /**
   * Take a message.
   * @param {Message} message
   * @param {number} now milliseconds since the epoch, by the server's clock
   */
  take(message, now) {
    if (this.#isProvisional) this.forget();
    this.#isProvisional = false;
    const { value } = message;
    const place = { epoch: message.id?.split("-")[0] ?? "", seq: message.seq ?? Infinity };
    const known = this.#known;
    if (known !== null && place.epoch === known.epoch && place.seq <= known.seq) return this.#fill(message, place.seq);
    this.#known = null;
    // A time of the future would stop the chart until then.
    let at = Math.min(message.sentAt, now);
    if (this.at !== null && at < this.at - SET_BACK_MS) this.forget();
    let wasStale = false;
    if (this.at !== null) {
      at = Math.max(at, this.at);
      wasStale = this.isStale(at);
      this.#learn(at - this.at);
    }
    // What follows a silence is not connected to what was before; but a state lasts until the next one.
    if (wasStale && this.shape !== "state") this.series.interrupt(at);
    // Nor is it, after a loss, unless nothing is missing.
    if (known !== null && !follows(known, place)) this.series.interrupt(at);
    if (message.id !== null) this.#noteGap(place, at);
    this.#newest = place;
    this.at = at;
    this.value = value;
    this.text = message.message.slice(0, MAX_TEXT_CHARS);
    this.isShared = message.id !== null;
    this.version += 1;
    const kind = kindOf(value, this.shape) ?? this.kind ?? "text";
    this.#become(kind);
    const numbers = numbersOf(kind, value);
    if (numbers === null) this.newest.fill(NaN);
    else {
      this.newest = this.#numbers(at, numbers);
      this.series.push(at, this.newest);
    }
    if (kind === "text") this.#addText(at, this.text);
    this.#noteUndrawn(at, this.text, value);
  }

  /**
   * Describe the producer.
   * @param {Description} description
   */
  describe(description) {
    const isSame = Object.entries(description).every(([key, value]) => Reflect.get(this.description, key) === value);
    if (isSame && this.isDescribed) return;
    this.description = description;
    this.version += 1;
  }

  /** What is known comes again with the first messages of the connection. */
  expectAll() {
    this.#isProvisional = true;
  }

  /** The past will be sent again: what is known of it is ignored. */
  expectPast() {
    this.#known = this.at === null ? null : this.#newest;
  }

  /** Forget the past; the newest value stays until the next one. */
  forget() {
    this.series.clear();
    this.texts = [];
    this.undrawn = null;
    this.#gaps = [];
    this.#known = null;
    this.#missing = [];
    this.#newest = { epoch: "", seq: 0 };
    this.at = null;
    this.version += 1;
  }

  /**
   * Remove the numbers of a connection that was given up.
   * @param {number} since milliseconds since the epoch
   */
  dropSince(since) {
    this.series.length = this.series.since(since);
    this.interrupt();
  }

  /** The connection was interrupted, and messages may be missing. */
  interrupt() {
    this.series.interrupt();
    this.version += 1;
  }

  /** Milliseconds after which it is stale; null while its period is not known. */
  get staleAfter() {
    const { period } = this.description;
    if (period !== null) return Math.max(MIN_STALE_MS, STALE_PERIODS * period * 1000);
    if (this.#gaps.length < 2) return null;
    // Values that come irregularly are late only by their longest pauses. One of these may be an outage.
    const sorted = this.#gaps.toSorted((one, other) => one - other);
    return Math.max(MIN_STALE_MS, STALE_PERIODS * sorted[sorted.length - (sorted.length > OUTAGE_FREE ? 2 : 1)]);
  }

  /**
   * Return whether it is overdue.
   * @param {number} now milliseconds since the epoch
   */
  isStale(now) {
    const age = this.at === null ? 0 : now - this.at;
    return age > MIN_STALE_MS && age > (this.staleAfter ?? Infinity);
  }

  /**
   * Remember what is missing before a message.
   * @param {Place} place
   * @param {number} at
   */
  #noteGap(place, at) {
    const isSameLog = place.epoch === this.#newest.epoch;
    if (!isSameLog) this.#missing = [];
    const after = isSameLog ? this.#newest.seq : 0;
    if (place.seq <= after + 1) return;
    this.#missing.push({ after, before: place.seq, from: this.at ?? -Infinity, to: at });
    if (this.#missing.length > MAX_GAPS) this.#missing.shift();
  }

  /**
   * Take a message of the past, if it is missing. The newest value stays.
   * @param {Message} message
   * @param {number} seq
   */
  #fill({ value, message, sentAt }, seq) {
    const gap = this.#missing.find(({ after, before }) => seq > after && seq < before);
    if (gap === undefined) return;
    const at = Math.max(gap.from, Math.min(sentAt, gap.to - MOMENT_MS));
    gap.after = seq;
    gap.from = at;
    this.version += 1;
    const kind = kindOf(value, this.shape) ?? this.shape ?? "text";
    const numbers = kind === this.shape ? numbersOf(kind, value) : null;
    if (numbers !== null) this.series.insert(at, this.#numbers(at, numbers));
    if (kind === "text") this.#addText(at, message.slice(0, MAX_TEXT_CHARS));
    this.#noteUndrawn(at, message, value);
  }

  /** @param {number} gap milliseconds */
  #learn(gap) {
    this.#gaps.push(gap);
    if (this.#gaps.length > LEARNED) this.#gaps.shift();
  }

  /**
   * Change the kind. Texts stay for when texts are sent again; the numbers of a dict and a single one have other lines.
   * @param {Kind} kind
   */
  #become(kind) {
    const hasNumbers = kind === "number" || kind === "lines" || kind === "state";
    if (hasNumbers && this.shape !== null && this.shape !== kind) this.#restart();
    if (hasNumbers) this.shape = kind;
    if (!hasNumbers) this.series.interrupt();
    this.kind = kind;
  }

  #restart() {
    this.series = new Series();
    this.keys = [];
    this.newest = [];
    this.moreKeys = 0;
    this.undrawn = null;
    this.#decimals = [];
    this.#seenAt = [];
  }

  /**
   * Return the number of each line.
   * @param {number} at
   * @param {Record<string, unknown>} values
   */
  #numbers(at, values) {
    const given = Object.keys(values);
    const looked = given.slice(0, MAX_COUNTED_KEYS);
    let more = 0;
    for (const key of looked) {
      if (typeof values[key] === "number" && !this.#hasLine(key, at)) more += 1;
    }
    // Null alone is no line: texts may follow it, as in an empty cell of a table. It is counted where no line is left.
    const isFull = this.keys.length === MAX_LINES;
    if (isFull) more += looked.filter((key) => values[key] === null && !this.keys.includes(key)).length;
    this.moreKeys = more + Math.max(0, given.length - MAX_COUNTED_KEYS);
    const numbers = this.keys.map((key) => {
      const value = Object.hasOwn(values, key) ? values[key] : null;
      // The server sends no infinity, but JSON can: 1e999.
      return typeof value === "number" && Number.isFinite(value) ? value : NaN;
    });
    numbers.forEach((value, line) => {
      if (Number.isNaN(value)) return;
      this.#seenAt[line] = Math.max(at, this.#seenAt[line]);
      this.#decimals[line].take(value);
    });
    return numbers;
  }

  /**
   * Return whether a key has a line, which it gets if there is room, or one whose key is no longer sent.
   * @param {string} key
   * @param {number} at
   */
  #hasLine(key, at) {
    if (this.keys.includes(key)) return true;
    let line = this.keys.length;
    if (line < MAX_LINES) this.series.addLine();
    else {
      line = this.#seenAt.findIndex((seen) => at - seen > Math.max(this.staleAfter ?? 0, 60_000));
      if (line < 0) return false;
      this.series.clearLine(line);
    }
    this.keys[line] = key;
    this.#decimals[line] = new Decimals();
    this.#seenAt[line] = at;
    return true;
  }

  /**
   * Remember a text where a line has numbers.
   * @param {number} at
   * @param {string} message
   * @param {unknown} value
   */
  #noteUndrawn(at, message, value) {
    if (this.undrawn !== null && this.undrawn.at > at) return;
    if (kindOf(value) === "text") this.undrawn = { at, key: "", text: message.slice(0, MAX_UNDRAWN_CHARS) };
    if (this.shape !== "lines" || !isDict(value)) return;
    for (const key of this.keys) {
      const text = Object.hasOwn(value, key) ? value[key] : null;
      if (typeof text === "string") this.undrawn = { at, key, text: text.slice(0, MAX_UNDRAWN_CHARS) };
    }
  }

  /**
   * @param {number} at
   * @param {string} text
   */
  #addText(at, text) {
    const place = this.texts.findIndex((each) => each.at <= at);
    this.texts.splice(place < 0 ? this.texts.length : place, 0, { at, text });
    if (this.texts.length > MAX_TEXTS) this.texts.pop();
  }
}

/**
 * Return whether a message is the next one of its producer.
 * @param {Place} one
 * @param {Place} next
 */
function follows(one, next) {
  return one.epoch === next.epoch && next.seq === one.seq + 1;
}

/**
 * Return the numbers of a value by the names of their lines; null for a kind without.
 * @param {Kind} kind
 * @param {unknown} value
 * @returns {Record<string, unknown> | null}
 */
function numbersOf(kind, value) {
  if (kind === "number") return { "": value };
  if (kind === "state") return { "": value === null ? null : Number(value) };
  return kind === "lines" ? /** @type {Record<string, unknown>} */ (value ?? {}) : null;
}
