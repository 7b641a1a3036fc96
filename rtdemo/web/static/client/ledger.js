// @ts-check
/**
 * The ledger: lost, repeated and late messages, by each producer's sequence numbers. Pure.
 * A producer counts its shared and its private messages apart: these are two counters.
 * @module client/ledger
 */

/** @typedef {import("../message.js").Message} Message */

/** Bound on producers that are checked; messages of further ones are counted as not checked. */
export const MAX_PRODUCERS = 200;

/** Bound on missing numbers that are remembered, newest first; older ones that arrive count as repeated. */
const MAX_MISSING = 1_000;

/** Checks each producer's numbering: a gap means missing messages, until they arrive late. */
export class Ledger {
  missing = 0;
  repeated = 0;
  late = 0;
  /** How often the server reported lost messages. */
  reported = 0;
  unchecked = 0;
  /** The last number of each counter. @type {Map<string, number>} */
  last = new Map();
  /** By counter and missing number: whether `missing` counts it. @type {Map<string, boolean>} */
  gaps = new Map();
  /** Of the log from which the last shared message was. */
  #epoch = "";

  /**
   * Forget numbers: of private messages, which start at 1 with every connection, or of shared ones, which advance while
   * the page does not receive them.
   * @param {boolean} shared
   */
  forget(shared) {
    for (const counter of this.last.keys()) if (counter.startsWith(`${shared} `)) this.last.delete(counter);
  }

  /** @param {Message} message */
  enter({ producer, seq, id, client, lost }) {
    if (lost) {
      this.reported += 1;
      this.forget(true);
    }
    // A new log numbers anew.
    const epoch = id?.split("-")[0] ?? this.#epoch;
    if (this.#epoch !== "" && epoch !== this.#epoch) this.forget(true);
    this.#epoch = epoch;
    if (seq === null) return;
    // The position in a welcome or in a report of loss is the client's, not that of a shared message.
    const shared = id !== null && !client && !lost;
    const counter = `${shared} ${producer}`;
    const last = this.last.get(counter) ?? (shared ? seq - 1 : 0);
    if (!this.last.has(counter) && this.last.size >= MAX_PRODUCERS) {
      this.unchecked += 1;
    } else if (seq <= last) {
      this.#lateOrRepeated(`${counter} ${seq}`);
    } else {
      this.#addMissing(counter, last + 1, seq);
      this.last.set(counter, seq);
    }
  }

  /**
   * @param {string} counter
   * @param {number} first
   * @param {number} end one after the last missing number
   */
  #addMissing(counter, first, end) {
    this.missing += end - first;
    for (let seq = Math.max(first, end - MAX_MISSING); seq < end; seq += 1) this.gaps.set(`${counter} ${seq}`, true);
    for (const key of this.gaps.keys()) {
      if (this.gaps.size <= MAX_MISSING) break;
      this.gaps.delete(key);
    }
  }

  /** @param {string} key */
  #lateOrRepeated(key) {
    const counted = this.gaps.get(key);
    this.gaps.delete(key);
    if (counted === undefined) this.repeated += 1;
    if (counted !== true) return;
    this.missing -= 1;
    this.late += 1;
  }
}
