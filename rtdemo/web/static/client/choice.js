// @ts-check
/**
 * Which transport a client uses, where it may use either. The Python client has the same rules. Pure.
 * @module client/choice
 */

/** @typedef {import("./link.js").Failure} Failure */
/** @typedef {import("./link.js").TransportName} TransportName */

export class TransportChoice {
  /** The transport of the next connection, or of this one. @type {TransportName} */
  current;
  #first;
  #last;
  /** Why the first transport did not work the last time. */
  whyNotFirst = "";
  /** @type {Set<TransportName>} */
  #worked = new Set();
  /** Transports that were tried since a message arrived. @type {Set<TransportName>} */
  #inVain = new Set();

  /**
   * @param {TransportName} first
   * @param {TransportName} [last] used where the first one does not work
   */
  constructor(first, last = first) {
    this.current = this.#first = first;
    this.#last = last;
  }

  /** Why the first transport is not used; empty if it is. */
  get reason() {
    return this.current === this.#first ? "" : this.whyNotFirst;
  }

  /** Whether messages have arrived over the other transport, and none over this one. */
  get onlyOtherWorked() {
    return this.#worked.size > 0 && !this.#worked.has(this.current);
  }

  /** Record that a message arrived over the current transport. */
  worked() {
    this.#worked.add(this.current);
    this.#inVain.clear();
  }

  /**
   * Choose the transport of the next connection.
   * @param {Failure} failure why the last one ended, or did not open
   * @param {boolean} hadMessages whether a message arrived over it
   * @returns {boolean} whether to try the other transport at once
   */
  ended({ kind, sentence, askedMs }, hadMessages) {
    const isOfBoth = askedMs !== null || kind === "login" || kind === "unreachable";
    this.#inVain.add(this.current);
    const other = this.current === this.#first ? this.#last : this.#first;
    if (hadMessages || isOfBoth || this.#inVain.has(other)) {
      this.#inVain.clear();
      this.current = this.#worked.has(this.#first) || !this.#worked.has(this.#last) ? this.#first : this.#last;
      return false;
    }
    if (this.current === this.#first) this.whyNotFirst = sentence;
    this.current = other;
    return true;
  }
}
