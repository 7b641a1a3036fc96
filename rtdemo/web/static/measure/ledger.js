// @ts-check
/**
 * The numbers of one side. Pure: what arrives is handed in, nothing is looked up.
 * @module measure/ledger
 */
import { count } from "../format.js";

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./measurement.js").Stats} Stats */

/** Producers whose numbering is followed at once; messages of further ones are counted, not checked. */
export const FOLLOWED = 200;

/** Numbers that are awaited after gaps, the latest; what else comes late counts as repeated. */
const AWAITED = 1_000;

/**
 * Follows each producer's numbering: a jump means that messages are missing, until they come late.
 */
export class Ledger {
  missing = 0;
  repeated = 0;
  late = 0;
  /** How often the server said that messages are lost. */
  told = 0;
  unchecked = 0;
  /** @type {Map<string, { seq: number, shared: boolean }>} */
  #last = new Map();
  /** @type {Map<string, boolean>} producer and number of what is missing, and whether it is counted */
  #awaited = new Map();
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
  enter({ producer, seq, id, client, lost }) {
    if (lost) {
      this.told += 1;
      this.resume();
    }
    if (seq === null) return;
    // The welcome's position is the client's, and so is that of what says that messages are lost.
    const shared = (id !== null && !client && !lost) || this.shared.has(producer);
    const last = this.#last.get(producer)?.seq ?? (shared ? seq - 1 : 0);
    if (!this.#last.has(producer) && this.#last.size >= FOLLOWED) {
      this.unchecked += 1;
    } else if (seq <= last) {
      this.#again(`${producer} ${seq}`);
    } else {
      this.#await(producer, last + 1, seq);
      this.#last.set(producer, { seq, shared });
    }
  }

  /**
   * @param {string} producer
   * @param {number} first
   * @param {number} end one behind the last that is missing
   */
  #await(producer, first, end) {
    this.missing += end - first;
    for (let seq = Math.max(first, end - AWAITED); seq < end; seq += 1) this.#awaited.set(`${producer} ${seq}`, true);
    for (const key of this.#awaited.keys()) {
      if (this.#awaited.size <= AWAITED) break;
      this.#awaited.delete(key);
    }
  }

  /** @param {string} key */
  #again(key) {
    const counted = this.#awaited.get(key);
    this.#awaited.delete(key);
    if (counted === undefined) this.repeated += 1;
    if (counted !== true) return;
    this.missing -= 1;
    this.late += 1;
  }

  /** Start the counts again. The numbering is still followed, and what fills an older gap counts for nothing. */
  reset() {
    this.missing = 0;
    this.repeated = 0;
    this.late = 0;
    this.told = 0;
    this.unchecked = 0;
    for (const key of this.#awaited.keys()) this.#awaited.set(key, false);
  }
}

/**
 * List how often each thing went wrong, in words; the three that the producers' numbers tell come first.
 * @param {Stats} stats
 */
function account({ unreadable, ledger: { missing, repeated, late, told, unchecked } }) {
  return [
    { times: missing, words: `${count(missing)} lost` },
    { times: repeated, words: `${count(repeated)} repeated` },
    { times: late, words: `${count(late)} out of order` },
    { times: told, words: `told of losses ${count(told)}×` },
    { times: unchecked, words: `${count(unchecked)} not checked` },
    { times: unreadable, words: `${count(unreadable)} unreadable` },
  ];
}

/** What the numbers tell stands in the ledger even where it is zero. */
const ALWAYS = 3;

/**
 * Say what the ledger counts.
 * @param {Stats} stats
 */
export function ledgerLine(stats) {
  const lines = account(stats).filter(({ times }, index) => index < ALWAYS || times > 0);
  return lines.map(({ words }) => words).join(", ");
}

/**
 * Say in a few words whether all messages arrived.
 * @param {Stats} stats
 */
export function completeness(stats) {
  const faults = account(stats).filter(({ times }) => times > 0);
  if (faults.length > 0) return faults.map(({ words }) => words).join(", ");
  return stats.received === 0 ? "none yet" : "none missing";
}
