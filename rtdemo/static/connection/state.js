// @ts-check
/**
 * The states of a side.
 * @module connection/state
 */

/** @typedef {"idle" | "connecting" | "connected" | "stalled" | "reconnecting"} Going */
/** @typedef {Going | "refused" | "lost" | "disconnected"} State */

/** Those that Disconnect ends. @type {ReadonlySet<State>} */
export const ACTIVE = new Set(["connecting", "connected", "stalled", "reconnecting"]);

/** Those in which the connection can be spoken over. @type {ReadonlySet<State>} */
export const OPEN = new Set(["connected", "stalled"]);
