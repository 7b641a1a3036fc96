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
  /** @type {Map<string, ProducerData>} */
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
    const { producers, without } = this.#options;
    return !without.includes(name) && (producers?.includes(name) ?? !this.#builtIn.includes(name));
  }

  /**
   * Forget those that are no longer shown. Those without a place are counted anew.
   * @param {boolean} someReturn whether some are shown again; then all are forgotten if there is no place for them
   */
  forgetHidden(someReturn) {
    const isFull = someReturn && this.byName.size >= MAX_CARDS;
    for (const name of this.byName.keys()) if (isFull || !this.shows(name)) this.byName.delete(name);
    this.#more.clear();
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

  /** All, in the order in which they were picked, or by name. */
  get sorted() {
    const all = [...this.byName.values()];
    const order = this.#options.producers;
    if (order === null) return all.sort((one, other) => (one.name < other.name ? -1 : 1));
    return all.sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
  }

  /**
   * Take a message.
   * @param {Message} message
   * @param {number} now milliseconds since the epoch, by the server's clock
   * @returns {boolean} whether it is of a producer that is new here
   */
  take(message, now) {
    const known = this.byName.get(message.producer);
    const data = known ?? this.#admitted(message.producer);
    data?.take(message, now);
    return data !== known;
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

  /** The connection was interrupted. Shared messages will follow without a gap. */
  interrupt() {
    for (const data of this.byName.values()) if (!data.isShared) data.interrupt();
  }

  /** The past will be sent again. What is not in the log may be missing. */
  expectPast() {
    for (const data of this.byName.values()) {
      if (data.isShared) data.expectPast();
      else data.interrupt();
    }
  }

  /** Forget the past of which more will be sent. */
  forgetShared() {
    for (const data of this.byName.values()) if (data.isShared) data.forget();
  }

  /**
   * Return the time of the oldest point of all.
   * @param {number} now returned if there is none, milliseconds since the epoch
   */
  oldest(now) {
    let oldest = now;
    for (const { series } of this.byName.values()) if (series.length > 0) oldest = Math.min(oldest, series.at[0]);
    return oldest;
  }

  /** @param {string} name */
  #admitted(name) {
    if (!this.shows(name)) return undefined;
    if (this.byName.size >= MAX_CARDS) {
      if (this.#more.size < MAX_COUNTED) this.#more.add(name);
      return undefined;
    }
    const data = new ProducerData(name);
    this.byName.set(name, data);
    return data;
  }
}
