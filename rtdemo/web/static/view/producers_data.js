// @ts-check
/**
 * The producers that the view shows, by name; bounded. Pure.
 * @module view/producers_data
 */
import { ProducerData } from "./producer_data.js";

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./address.js").Options} Options */

/** Bound on cards; further producers are counted, and can be picked in the address. */
const MAX_CARDS = 200;
/** Bound on names that are counted. */
const MAX_COUNTED = 10_000;

export class ProducersData {
  /** Also those that are hidden: they may return. @type {Map<string, ProducerData>} */
  byName = new Map();
  #options;
  #builtIn;
  /** @type {Set<string>} */
  #more = new Set();

  /**
   * @param {Options} options which may change
   * @param {string[]} builtIn names that are shown only if they are picked
   */
  constructor(options, builtIn) {
    this.#options = options;
    this.#builtIn = builtIn;
  }

  /** @param {string} name */
  shows(name) {
    return this.#isPicked(name) && !this.#options.without.includes(name);
  }

  /** @param {string} name */
  #isPicked(name) {
    return this.#options.producers?.includes(name) ?? !this.#builtIn.includes(name);
  }

  /**
   * Some are hidden, or shown again. Where there is no place for all, they are counted anew.
   * @returns {boolean} whether their past is needed: of one that takes a free place, or of all
   */
  rearrange() {
    const count = this.shown.length;
    if (count > MAX_CARDS) this.byName.clear();
    const isPastNeeded = count > MAX_CARDS || (count < MAX_CARDS && this.more > 0);
    if (isPastNeeded) this.#more.clear();
    return isPastNeeded;
  }

  /** Forget all. */
  forgetAll() {
    this.byName.clear();
    this.#more.clear();
  }

  /** Number of producers that are not shown; a bound on names bounds it too. */
  get more() {
    return this.#more.size;
  }

  /** Those that have cards. */
  get shown() {
    return [...this.byName.values()].filter(({ name }) => this.shows(name));
  }

  /** The same, in the order in which they were picked, or by name. */
  get sorted() {
    const order = this.#options.producers;
    if (order === null) return this.shown.sort((one, other) => (one.name < other.name ? -1 : 1));
    return this.shown.sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
  }

  /**
   * Take a message.
   * @param {Message} message
   * @param {number} now milliseconds since the epoch, by the server's clock
   * @returns {boolean} whether it is of a producer that needs a new card
   */
  take(message, now) {
    const known = this.byName.get(message.producer);
    const data = known ?? this.#admitted(message.producer);
    data?.take(message, now);
    return data !== known && this.shows(message.producer);
  }

  /**
   * Take a message of the page itself, which the connection sends again.
   * @param {Message} message
   * @param {import("./producer_data.js").Description} description
   * @param {number} now milliseconds since the epoch, by the server's clock
   */
  takeProvisional(message, description, now) {
    this.take(message, now);
    const data = this.byName.get(message.producer);
    data?.describe(description);
    data?.expectAll();
  }

  /** There is no list of producers: what is not described yet has no title, unit or scale of its own. */
  describeNothing() {
    for (const data of this.byName.values()) data.describe({ ...data.description });
  }

  /** The connection was interrupted. Shared messages will follow without a gap. */
  interrupt() {
    for (const data of this.byName.values()) if (!data.isShared) data.interrupt();
  }

  /**
   * The past will be sent again. What is not in the log may be missing, or begins again.
   * @param {number} since what private producers have sent since then is dropped, milliseconds since the epoch
   */
  expectPast(since) {
    for (const data of this.byName.values()) {
      if (data.isShared) data.expectPast();
      else data.dropSince(since);
    }
  }

  /** Forget the past of which more will be sent. */
  forgetShared() {
    for (const data of this.byName.values()) if (data.isShared) data.forget();
  }

  /** @param {string} name */
  #admitted(name) {
    // Each message of one that has no place comes here.
    if (this.#more.has(name) || !this.#isPicked(name)) return undefined;
    // The address bounds the number of hidden ones.
    if (this.shows(name) && this.shown.length >= MAX_CARDS) {
      if (this.#more.size < MAX_COUNTED) this.#more.add(name);
      return undefined;
    }
    const data = new ProducerData(name);
    this.byName.set(name, data);
    return data;
  }
}
