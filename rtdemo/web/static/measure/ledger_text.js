// @ts-check
/**
 * The ledger in words.
 * @module measure/ledger_text
 */
import { count } from "../format.js";

/** @typedef {import("./measurement.js").Stats} Stats */

/**
 * List each kind of error with its count.
 * @param {Stats} stats
 */
function errors({ unreadable, ledger: { missing, repeated, late, reported, unchecked } }) {
  return [
    { times: missing, text: `${count(missing)} lost` },
    { times: repeated, text: `${count(repeated)} repeated` },
    { times: late, text: `${count(late)} out of order` },
    { times: reported, text: `losses reported ${count(reported)}×` },
    { times: unchecked, text: `${count(unchecked)} not checked` },
    { times: unreadable, text: `${count(unreadable)} unreadable` },
  ];
}

/** The first three, which sequence numbers reveal, are shown even at zero. */
const ALWAYS_SHOWN = 3;

/**
 * Write the ledger as one line.
 * @param {Stats} stats
 */
export function ledgerLine(stats) {
  const shown = errors(stats).filter(({ times }, index) => index < ALWAYS_SHOWN || times > 0);
  return shown.map(({ text }) => text).join(", ");
}

/**
 * Return how many messages are lost, for the scoreboard.
 * @param {Stats} stats
 */
export function lossText({ ledger: { missing, reported } }) {
  return missing === 0 && reported > 0 ? "some" : count(missing);
}

/**
 * Summarise in a few words whether all messages arrived.
 * @param {Stats} stats
 */
export function completeness(stats) {
  const occurred = errors(stats).filter(({ times }) => times > 0);
  if (occurred.length > 0) return occurred.map(({ text }) => text).join(", ");
  return stats.received === 0 ? "none yet" : "none missing";
}
