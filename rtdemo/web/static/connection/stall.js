// @ts-check
/**
 * Detects a stalled connection: how long silence is normal for the selected producers. Pure.
 * @module connection/stall
 */

/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("./selection.js").Selection} Selection */

const STALL_TIMEOUT_MS = 10_000;

/** Periods of silence that are normal: a message may be late by half a period. */
const LATE_PERIODS = 1.5;

export class StallDetector {
  /** @type {{ name: string, period: number | null, shared: boolean }[]} producers of this transport; period in seconds */
  #producers = [];

  /**
   * Set the producers that the server offers.
   * @param {Producer[]} producers
   * @param {TransportName} transport
   */
  setProducers(producers, transport) {
    this.#producers = producers.flatMap(({ name, shared, on }) => {
      const entry = on[transport];
      return entry === null ? [] : [{ name, shared, period: entry.period }];
    });
  }

  /**
   * Return how long silence is normal. It grows as the rate falls below 1, and covers the shortest selected period.
   * @param {Selection} selection
   * @returns {number} milliseconds
   */
  timeout({ speed, producers }) {
    const rate = Number(speed) || 1;
    const selected = this.#producers.filter(({ name }) => producers?.includes(name) ?? true);
    const periods = selected.flatMap(({ period, shared }) => (period === null ? [] : [period / (shared ? 1 : rate)]));
    const shortest = periods.length === 0 ? 0 : Math.min(...periods);
    return Math.max(STALL_TIMEOUT_MS / Math.min(1, rate), shortest * 1000 * LATE_PERIODS);
  }

  /**
   * Describe the stall and what to check.
   * @param {Selection} selection
   * @param {string} hint of the transport
   */
  sentence(selection, hint) {
    const silence = `Nothing has arrived for ${Math.round(this.timeout(selection) / 1000)} s`;
    if (selection.producers === null) return `${silence}. ${hint}`;
    return `${silence} from the selected producers. Switch on more of them below.`;
  }
}
