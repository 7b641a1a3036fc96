// @ts-check
/**
 * Silence on an open connection: how long it is nothing to speak of, and what to say then. Pure.
 * @module silence
 */

/** @typedef {import("./selection.js").Selection} Selection */

const STALLED_MS = 10_000;

/**
 * Tell how long nothing may arrive: at a tenth of the rate, ten times as long.
 * @param {Selection} selection
 * @returns {number} milliseconds
 */
export function patience({ speed }) {
  return STALLED_MS / Math.min(1, Number(speed) || 1);
}

/**
 * Say that nothing arrives, and what to look at.
 * @param {Selection} selection
 * @param {string} hint the transport's own
 */
export function silence(selection, hint) {
  const lasted = `Nothing has arrived for ${Math.round(patience(selection) / 1000)} s`;
  if (selection.producers === null) return `${lasted}. ${hint}`;
  return `${lasted} from the producers that are switched on. Switch on more of them below.`;
}
