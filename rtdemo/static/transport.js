// @ts-check
/**
 * What WebSocket and SSE have in common: the interface that a side knows them by.
 * @module transport
 */

/**
 * @typedef {object} TransportEvents
 * @property {() => void} opened
 * @property {(data: unknown, at: number) => void} message the data as it came, and performance.now()
 * @property {(why: string, next: string) => void} reconnecting it broke, and comes back by itself
 * @property {(sentence: string) => void} refused it never opened
 * @property {(sentence: string) => void} lost it broke, and stays so
 */

/**
 * @typedef {object} Transport
 * @property {string} address what the next connect opens
 * @property {() => string} slow what to look at when no answer comes; asked every second until it does
 * @property {() => string | null} away why it may not come back; asked every second while it has not
 * @property {string} stalled what to look at when messages stop, after how long that has been
 * @property {string | null} position behind which a connection that comes back goes on
 * @property {(payload: number, id: string | null) => number} wireBytes of a message, framing and all
 * @property {() => void} connect
 * @property {() => void} disconnect no event follows
 * @property {(text: string, client: string | null) => Promise<void>} send rejects with a sentence
 */

const HEALTH_TIMEOUT_MS = 3_000;

/**
 * Ask whether the server that sent this page is alive. Neither WebSocket nor EventSource tells a page why it could not
 * connect; this at least tells "down" from "refused".
 * @returns {Promise<boolean>}
 */
export async function serverAnswers() {
  try {
    const signal = AbortSignal.timeout(HEALTH_TIMEOUT_MS);
    const response = await fetch("/healthz", { cache: "no-store", signal });
    return response.ok;
  } catch {
    return false;
  }
}
