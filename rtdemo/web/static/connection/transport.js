// @ts-check
/**
 * The interface that both transports implement, and why a connection did not open.
 * @module connection/transport
 */
import { mayHeal } from "../client/may_heal.js";
import { clip, oneLine } from "../format.js";

/** @typedef {import("./login.js").Login} Login */

/**
 * @typedef {object} TransportEvents
 * @property {() => void} opened
 * @property {(data: unknown, at: number) => void} message the data as received, and performance.now()
 * @property {(cause: string, retryAt: number | null) => void} reconnecting the connection broke and reconnects by itself;
 *   performance.now() of the next try, or null during one
 * @property {(sentence: string) => void} refused the connection never opened
 * @property {(sentence: string) => void} lost the connection broke and stays closed
 */

/**
 * @typedef {object} Transport
 * @property {string} address that the next connect opens
 * @property {() => string} connectHint what to check while no answer comes; called twice a second
 * @property {() => string | null} reconnectHint why a reconnect may not succeed; called twice a second
 * @property {string} stallHint what to check if the connection opens, but nothing arrives
 * @property {string | null} position after which a reconnect resumes
 * @property {(payload: number, id: string | null) => number} wireBytes bytes of a message with its framing
 * @property {() => void} connect
 * @property {() => void} disconnect no event follows
 * @property {() => void} hurry try now instead of later
 * @property {(cause: string) => void} drop drop a connection that no longer works, and reconnect at once
 * @property {(text: string, client: string | null) => Promise<void>} send rejects with a sentence
 */

/**
 * @typedef {object} Failure
 * @property {string} sentence why a connection did not open
 * @property {number | null} retryMs milliseconds after which to try again, as the server asked; null if it did not
 * @property {boolean} isFinal whether the server would refuse another try too
 */

export const PROBE_TIMEOUT_MS = 3_000;

/** Part of the server's Retry-After by which clients wait longer at random, so that they do not come back all at once. */
const RETRY_JITTER = 0.5;

/**
 * Find out why a connection did not open. Neither WebSocket nor EventSource reports it.
 * @param {string} address of the connection
 * @param {() => Promise<string>} unexplained returns the sentence for a server that answers but gives no reason
 * @param {Login | null} login null where the server needs none
 * @returns {Promise<Failure>}
 */
export async function explainFailure(address, unexplained, login = null) {
  if (!(await serverAnswers())) {
    const sentence = `Nothing answers at ${address}. Is the server running, and is that port open?`;
    return { sentence, retryMs: null, isFinal: false };
  }
  const failure = await refusal(address, login).catch(() => null);
  if (failure === null) return { sentence: await unexplained(), retryMs: null, isFinal: false };
  const words = failure.sentence.replace(/[^.!?]$/, "$&.");
  return { ...failure, sentence: `The server refused the connection: ${words}` };
}

/** Return whether the page's server is alive. */
export async function serverAnswers() {
  try {
    const response = await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * Request the same query as a stream and return the server's reason. Both transports are refused for the same reasons.
 * @param {string} address
 * @param {Login | null} login
 * @returns {Promise<Failure | null>} null where there is none
 */
async function refusal(address, login) {
  const url = new URL("api/sse", location.href);
  url.search = new URL(address).search;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { cache: "no-store", headers: login?.headers ?? {}, signal });
    const { status } = response;
    if (status < 400) return null;
    const isFinal = !mayHeal(status);
    const seconds = isFinal ? NaN : Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    const retryMs = Number.isNaN(seconds) ? null : seconds * 1000 * (1 + Math.random() * RETRY_JITTER);
    // The words may be those of a proxy: what the transport suggests to check is of more use.
    if (status >= 500 && !isFinal && retryMs === null) return null;
    return { sentence: await reason(response), retryMs, isFinal };
  } finally {
    stop.abort();
  }
}

/**
 * Return the server's own words, or its status: a proxy sends a web page, or nothing.
 * @param {Response} response
 */
async function reason(response) {
  const text = (await response.text()).trim();
  return text === "" || text.startsWith("<") ? `it answered ${response.status}` : clip(oneLine(text), 160);
}
