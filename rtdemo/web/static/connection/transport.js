// @ts-check
/**
 * The interface that both transports implement, and why a connection did not open.
 * @module connection/transport
 */
import { clip, oneLine } from "../format.js";

/** @typedef {import("./login.js").Login} Login */

/**
 * @typedef {object} TransportEvents
 * @property {() => void} opened
 * @property {(data: unknown, at: number) => void} message the data as received, and performance.now()
 * @property {(why: string, next: string) => void} reconnecting the connection broke and reconnects by itself
 * @property {(sentence: string) => void} refused the connection never opened
 * @property {(sentence: string) => void} lost the connection broke and stays closed
 */

/**
 * @typedef {object} Transport
 * @property {string} address that the next connect opens
 * @property {() => string} connectHint what to check while no answer comes; called every second
 * @property {() => string | null} reconnectHint why a reconnect may not succeed; called every second
 * @property {string} stallHint what to check when messages stop
 * @property {string | null} position after which a reconnect resumes
 * @property {(payload: number, id: string | null) => number} wireBytes bytes of a message with its framing
 * @property {() => void} connect
 * @property {() => void} disconnect no event follows
 * @property {(text: string, client: string | null) => Promise<void>} send rejects with a sentence
 */

const PROBE_TIMEOUT_MS = 3_000;

/**
 * Find out why a connection did not open. Neither WebSocket nor EventSource reports it.
 * @param {string} address of the connection
 * @param {string} unexplained the sentence for a server that answers but gives no reason
 * @param {Login | null} login null where the server needs none
 * @returns {Promise<string>} a sentence
 */
export async function explainFailure(address, unexplained, login = null) {
  if (!(await serverAnswers())) return `Nothing answers at ${address}. Is the server running, and is that port open?`;
  const reason = await refusal(address, login).catch(() => "");
  return reason === "" ? unexplained : `The server refused the connection: ${reason}`;
}

/** Return whether the server of this page is alive. */
async function serverAnswers() {
  try {
    const response = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * Request the same query as a stream and return the server's reason. Both transports are refused for the same reasons.
 * @param {string} address
 * @param {Login | null} login
 * @returns {Promise<string>} empty where there is none
 */
async function refusal(address, login) {
  const url = new URL("/api/sse", location.href);
  url.search = new URL(address).search;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { cache: "no-store", headers: login?.headers ?? {}, signal });
    return response.status >= 400 && response.status < 500 ? clip(oneLine((await response.text()).trim()), 160) : "";
  } finally {
    stop.abort();
  }
}
