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
 * @property {(cause: string, retryAt: number | null) => void} reconnecting the connection broke and reconnects by itself;
 *   performance.now() of the next try, or null during one
 * @property {(sentence: string, kind: FailureKind) => void} refused the connection never opened
 * @property {(sentence: string, kind: FailureKind) => void} lost the connection broke and stays closed
 */

/**
 * Why a connection is not open. silent: nothing answers; hidden: the server lets no page of this origin read its answers;
 * refused: the server gave a reason; ticket: it gave no ticket; expired: the login token has; notOpened: the server answers,
 * but this transport did not open; blocked: the browser opens no such address; closed: the server ended it for good.
 * @typedef {"silent" | "hidden" | "refused" | "ticket" | "expired" | "notOpened" | "blocked" | "closed"} FailureKind
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
 * @property {() => void} dispose disconnect for good
 * @property {() => void} hurry try now instead of later
 * @property {(cause: string) => void} drop drop a connection that no longer works, and reconnect at once
 * @property {(text: string, client: string | null) => Promise<void>} send rejects with a sentence
 */

/**
 * @typedef {object} Failure
 * @property {FailureKind} kind
 * @property {string} sentence why a connection did not open
 * @property {number | null} retryMs milliseconds after which to try again, as the server asked; null if it did not
 * @property {boolean} isFinal whether the server would refuse another try too
 */

export const PROBE_TIMEOUT_MS = 3_000;

const REFUSED = "The server refused the connection:";

/** Part of the server's Retry-After by which clients wait longer at random, so that they do not come back all at once. */
const RETRY_JITTER = 0.5;

/** Address of the server that has sent this page. */
export function pageServer() {
  return new URL(location.href);
}

/**
 * Find out why a connection did not open. Neither WebSocket nor EventSource reports it.
 * @param {string} address of the connection
 * @param {() => Promise<string>} unexplained returns the sentence for a server that answers but gives no reason
 * @param {Login | null} login null where the server needs none
 * @param {URL} server
 * @returns {Promise<Failure>}
 */
export async function explainFailure(address, unexplained, login = null, server = pageServer()) {
  const reach = await reachOf(server);
  if (reach === "silent") {
    const sentence = `Nothing answers at ${address}. Is the server running, and is that port open?`;
    return { kind: reach, sentence, retryMs: null, isFinal: false };
  }
  if (reach === "hidden") return { kind: reach, sentence: ofForeignOrigin(), retryMs: null, isFinal: true };
  const failure = await refusal(address, login, server).catch(() => null);
  if (failure === null) return { kind: "notOpened", sentence: await unexplained(), retryMs: null, isFinal: false };
  const reason = failure.sentence.replace(/[^.!?]$/, "$&.");
  return { ...failure, sentence: `${REFUSED} ${reason}` };
}

/**
 * Return whether a server is alive, also if it hides that from pages of this origin.
 * @param {URL} server
 */
export async function serverAnswers(server) {
  return (await reachOf(server)) !== "silent";
}

/**
 * Find out whether a server answers, and whether this page may read that. The script of elements is for every page.
 * @param {URL} server
 * @returns {Promise<"open" | "hidden" | "silent">}
 */
async function reachOf(server) {
  if (await isReadable(new URL("healthz", server))) return "open";
  const isForeign = server.origin !== location.origin;
  return isForeign && (await isReadable(new URL("static/embed.js", server), "HEAD")) ? "hidden" : "silent";
}

/**
 * @param {URL} url
 * @param {string} [method]
 */
async function isReadable(url, method = "GET") {
  try {
    const response = await fetch(url, { method, cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return response.ok;
  } catch {
    return false;
  }
}

/** Sentence for a server that answers, but lets no page of this origin read that. */
function ofForeignOrigin() {
  const { origin } = location;
  if (origin === "null") return `${REFUSED} a page that was opened as a file has no origin; serve it over HTTP.`;
  return `${REFUSED} this page's origin is not allowed; start rtdemo with --allow-origin ${origin} to allow it.`;
}

/**
 * Request the same query as a stream and return the server's reason. Both transports are refused for the same reasons.
 * @param {string} address
 * @param {Login | null} login
 * @param {URL} server
 * @returns {Promise<Failure | null>} null where there is none
 */
async function refusal(address, login, server) {
  const url = new URL("api/sse", server);
  url.search = new URL(address).search;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { cache: "no-store", headers: login?.headers ?? {}, signal });
    const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    const retryMs = Number.isNaN(seconds) ? null : seconds * 1000 * (1 + Math.random() * RETRY_JITTER);
    const isRefusal = response.status >= 400 && (response.status < 500 || retryMs !== null);
    const sentence = isRefusal ? clip(oneLine((await response.text()).trim()), 160) : "";
    return sentence === "" ? null : { kind: "refused", sentence, retryMs, isFinal: retryMs === null };
  } finally {
    stop.abort();
  }
}
