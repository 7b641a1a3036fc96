// @ts-check
/**
 * Silence on an open connection: how long it is nothing to speak of, and what to say then. Pure.
 * @module connection/stall
 */

/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("./selection.js").Selection} Selection */

const STALLED_MS = 10_000;

/** A message may be late by half a period. */
const LATE = 1.5;

export class Silence {
  /** @type {{ name: string, period: number | null, shared: boolean }[]} producers of this transport */
  #producers = [];

  /**
   * Learn which producers there are.
   * @param {Producer[]} producers
   * @param {TransportName} transport
   */
  learn(producers, transport) {
    this.#producers = producers.flatMap(({ name, shared, on }) => {
      const account = on[transport];
      return account === null ? [] : [{ name, shared, period: account.period }];
    });
  }

  /**
   * Tell how long nothing may arrive: at a tenth of the rate ten times as long, and no less than the most frequent of the
   * producers that were picked needs.
   * @param {Selection} selection
   * @returns {number} milliseconds
   */
  patience({ speed, producers }) {
    const rate = Number(speed) || 1;
    const picked = this.#producers.filter(({ name }) => producers?.includes(name) ?? true);
    const periods = picked.flatMap(({ period, shared }) => (period === null ? [] : [period / (shared ? 1 : rate)]));
    const shortest = periods.length === 0 ? 0 : Math.min(...periods);
    return Math.max(STALLED_MS / Math.min(1, rate), shortest * 1000 * LATE);
  }

  /**
   * Say that nothing arrives, and what to look at.
   * @param {Selection} selection
   * @param {string} hint the transport's own
   */
  sentence(selection, hint) {
    const lasted = `Nothing has arrived for ${Math.round(this.patience(selection) / 1000)} s`;
    if (selection.producers === null) return `${lasted}. ${hint}`;
    return `${lasted} from the producers that are switched on. Switch on more of them below.`;
  }
}
