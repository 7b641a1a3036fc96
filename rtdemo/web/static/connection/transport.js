// @ts-check
/**
 * What WebSocket and SSE have in common: the interface that a side knows them by.
 * @module connection/transport
 */
import { clip, oneLine } from "../format.js";

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

const TIMEOUT_MS = 3_000;

/**
 * Find out why a connection did not open, since neither WebSocket nor EventSource tells a page.
 * @param {string} address of the connection
 * @param {string} silent what to say where the server answers, but gives no reason
 * @returns {Promise<string>} a sentence
 */
export async function diagnosis(address, silent) {
  if (!(await serverAnswers())) return `Nothing answers at ${address}. Is the server running, and is that port open?`;
  const words = await refusal(address).catch(() => "");
  return words === "" ? silent : `The server refuses it: ${words}`;
}

/** Ask whether the server that sent this page is alive. */
async function serverAnswers() {
  try {
    const response = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * Ask for the same as a stream, which both transports are refused for alike, and read what a refusal says.
 * @param {string} address
 * @returns {Promise<string>} empty where there is none
 */
async function refusal(address) {
  const url = new URL("/api/sse", location.href);
  url.search = new URL(address).search;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { cache: "no-store", signal });
    return response.status >= 400 && response.status < 500 ? clip(oneLine((await response.text()).trim()), 160) : "";
  } finally {
    stop.abort();
  }
}
