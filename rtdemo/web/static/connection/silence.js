// @ts-check
/**
 * Explains why no message arrives over a connection whose heartbeats do, or on which the server sends none. Pure.
 * @module connection/silence
 */

/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("./selection.js").Selection} Selection */

/** Silence that gets a sentence. */
const SILENCE_MS = 10_000;

/** Periods of silence that are normal: a message may be late by half a period. */
const LATE_PERIODS = 1.5;

export class Silence {
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
   * Describe the silence and what to do. It names a producer that should have sent something, if there is one.
   * @param {Selection} selection
   * @param {number} silentMs
   * @param {boolean} works whether heartbeats show that the connection works
   * @returns {string | null} null while the silence is short
   */
  sentence({ speed, producers }, silentMs, works) {
    if (silentMs < SILENCE_MS) return null;
    const seconds = Math.floor(silentMs / 1000);
    const silence = works
      ? `The connection works, but no producer has sent anything for ${seconds} s.`
      : `Nothing has arrived for ${seconds} s. This server sends no heartbeats, so the connection may not work.`;
    const rate = Number(speed) || 1;
    const selected = this.#producers.filter(({ name }) => producers?.includes(name) ?? true);
    const overdue = selected.find(({ period, shared }) => {
      return period !== null && silentMs > (period / (shared ? 1 : rate)) * 1000 * LATE_PERIODS;
    });
    if (overdue !== undefined) return `${silence} Producers, below, shows whether ${overdue.name} has failed.`;
    return selected.length < this.#producers.length ? `${silence} Switch on more of them under Producers.` : silence;
  }
}
