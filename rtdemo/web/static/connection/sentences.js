// @ts-check
/**
 * Sentences about the state of a connection: what happens, and what to do.
 * @module connection/sentences
 */
import { duration } from "../format.js";

/** @typedef {import("../measure/faults.js").Fault} Fault */

export const ARRIVES = "Messages arrive as they are produced.";
export const ARRIVES_AGAIN = "The connection works again.";

export const STAYS_CLOSED = "It stays closed until you press Connect.";

export const OFFLINE = "The browser is offline.";
export const NOT_OPENED = "It did not open again.";
/** Without the time: the top of the page counts it. */
export const NOTHING_ARRIVES = "Nothing arrives, not even a heartbeat.";
export const RECONNECTS_SOON = "It reconnects if the next one is missing too.";

/** The cause after a cut that the reader injected. */
export const CUT = "You cut it.";

/** What an injected fault does; a cut ends the connection. @type {Record<Fault, string | null>} */
const FAULTS = {
  cut: null,
  stop: "You stopped it: the server holds everything back for some seconds.",
  delay: "You delayed it: everything is late by 250 ms, until you press Delay again.",
};

/**
 * Return the sentence about a fault.
 * @param {Fault | null} kind
 * @returns {string | null} null if the connection works, or no longer exists
 */
export function faultSentence(kind) {
  return kind === null ? null : FAULTS[kind];
}

/**
 * Return the sentence about the next try of a connection. The top of the page counts down to it.
 * @param {boolean} isTrying
 */
export function retrySentence(isTrying) {
  return isTrying ? "Opening it again. Disconnect stops this." : "It retries by itself until you press Disconnect.";
}

/** @param {number} ms for which nothing worked */
export function reconnectedSentence(ms) {
  return `Reconnected after ${duration(ms)}.`;
}
