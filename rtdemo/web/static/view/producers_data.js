// @ts-check
/**
 * The producers that the view shows, by name; bounded. Pure.
 * @module view/producers_data
 */
import { ProducerData } from "./producer_data.js";

/** @typedef {import("../message.js").Message} Message */

/** Bound on cards; further producers are counted, and can be picked in the address. */
const MAX_CARDS = 200;
/** Bound on names that are counted. */
const MAX_COUNTED = 10_000;

export class ProducersData {
  /** @type {Map<string, ProducerData>} */
  byName = new Map();
  #picked;
  #hidden;
  /** @type {Set<string>} */
  #more = new Set();

  /**
   * @param {string[] | null} picked names; null for all but the hidden ones
   * @param {string[]} hidden names that are shown only if they are picked
   */
  constructor(picked, hidden) {
    this.#picked = picked === null ? null : new Set(picked);
    this.#hidden = new Set(hidden);
  }

  /** Number of producers that are not shown; a bound on names bounds it too. */
  get more() {
    return this.#more.size;
  }

  /** All, in the order in which they were picked, or by name. */
  get sorted() {
    const all = [...this.byName.values()];
    if (this.#picked === null) return all.sort((one, other) => (one.name < other.name ? -1 : 1));
    const order = [...this.#picked];
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
    if (this.#picked === null ? this.#hidden.has(name) : !this.#picked.has(name)) return undefined;
    if (this.byName.size >= MAX_CARDS) {
      if (this.#more.size < MAX_COUNTED) this.#more.add(name);
      return undefined;
    }
    const data = new ProducerData(name);
    this.byName.set(name, data);
    return data;
  }
}
