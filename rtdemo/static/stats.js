// @ts-check
/**
 * The numbers of one side. Pure: what arrives is handed in, nothing is looked up.
 * @module stats
 */

/** @typedef {import("./message.js").Message} Message */

/** A mean that keeps no samples. */
export class Mean {
  count = 0;
  sum = 0;

  /** @param {number} value */
  add(value) {
    this.count += 1;
    this.sum += value;
  }

  /** @returns {number | null} null before the first value */
  get value() {
    return this.count === 0 ? null : this.sum / this.count;
  }
}

/** Producers whose numbering is followed at once; messages of further ones are counted, not checked. */
export const FOLLOWED = 200;

/**
 * Follows each producer's numbering: a jump means that messages are missing.
 */
export class Ledger {
  missing = 0;
  repeated = 0;
  unchecked = 0;
  /** @type {Map<string, { seq: number, shared: boolean }>} */
  #last = new Map();
  /** @type {ReadonlySet<string>} names of shared producers, whose messages may come without a position */
  shared = new Set();

  /** Forget the private numbers, which start at 1 with every connection. Shared ones go on. */
  begin() {
    for (const [producer, { shared }] of this.#last) {
      if (!shared) this.#last.delete(producer);
    }
  }

  /** Follow shared producers from wherever they are next: while one is switched off, its numbers go on. */
  resume() {
    for (const [producer, { shared }] of this.#last) {
      if (shared) this.#last.delete(producer);
    }
  }

  /** @param {Message} message */
  enter({ producer, seq, id }) {
    if (seq === null) return;
    const shared = id !== null || this.shared.has(producer);
    const last = this.#last.get(producer)?.seq ?? (shared ? seq - 1 : 0);
    if (!this.#last.has(producer) && this.#last.size >= FOLLOWED) {
      this.unchecked += 1;
      return;
    }
    if (seq <= last) {
      this.repeated += 1;
      return;
    }
    this.missing += seq - last - 1;
    this.#last.set(producer, { seq, shared });
  }

  /** Start the counts again; the numbering is still followed. */
  reset() {
    this.missing = 0;
    this.repeated = 0;
    this.unchecked = 0;
  }
}

/** Everything that one panel shows as a figure. */
export class Stats {
  received = 0;
  unreadable = 0;
  latency = new Mean();
  /** The mean of the readings' error bounds is a bound on the error of their mean. */
  error = new Mean();
  ledger = new Ledger();
  /** @type {number | null} milliseconds from the click to the open connection */
  opening = null;

  /**
   * Count a message.
   * @param {Message} message
   * @param {{ value: number, error: number } | null} latency null while the server's clock is unknown
   */
  record(message, latency) {
    this.received += 1;
    this.ledger.enter(message);
    if (latency === null) return;
    this.latency.add(latency.value);
    this.error.add(latency.error);
  }

  /** Forget every figure. */
  reset() {
    this.received = 0;
    this.unreadable = 0;
    this.latency = new Mean();
    this.error = new Mean();
    this.opening = null;
    this.ledger.reset();
  }
}

/**
 * Say in a few words whether all messages arrived.
 * @param {Stats} stats
 */
export function completeness({ received, unreadable, ledger }) {
  const faults = [
    ledger.missing && `${ledger.missing} missing`,
    ledger.repeated && `${ledger.repeated} repeated`,
    unreadable && `${unreadable} unreadable`,
  ].filter(Boolean);
  if (faults.length > 0) return faults.join(", ");
  return received === 0 ? "none yet" : "none missing";
}
