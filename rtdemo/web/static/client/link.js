// @ts-check
/**
 * One connection of a client, over either transport.
 * @module client/link
 */
import { EventParser } from "./event_parser.js";
import { mayHeal } from "./may_heal.js";

/** @typedef {"websocket" | "sse"} TransportName */

/**
 * @typedef {"unreachable" | "no stream" | "refused" | "login"} ErrorKind unreachable: nothing answers; no stream: what
 *   answers sends no stream, or ended it; refused: the server refuses the client; login: it needs another login
 */

/**
 * @typedef {object} Failure why a connection ended, or did not open
 * @property {ErrorKind} kind
 * @property {string} sentence
 * @property {number | null} askedMs milliseconds that the server asks the client to wait; null if it does not
 * @property {boolean} isFinal whether another try would fail too
 */

/**
 * @typedef {object} Link takes the events of a connection
 * @property {boolean} isRtdemo whether the server is one of rtdemo, whose events have known names
 * @property {() => void} opened
 * @property {(text: string, id?: string) => void} received a text; over SSE with the last event id, if it changed
 * @property {(failure: Failure) => void} ended
 */

/**
 * @typedef {object} Connection
 * @property {() => void} close its last events may follow
 * @property {(text: string) => void} [send] where the connection itself takes texts; throws if it cannot
 */

/** @typedef {(address: string, headers: Record<string, string>, link: Link) => Connection} Opener */

const MEDIA_TYPE = "text/event-stream";
const MAX_REASON_CHARACTERS = 160;
/** Names of rtdemo's events; those of a later version are ignored. */
const EVENTS = ["message", "heartbeat"];
const POST_TIMEOUT_MS = 10_000;
const EXPIRED = "token expired";
/** Close codes after which another try would fail too (RFC 6455, section 7.4.1). */
const FINAL_CODES = [1002, 1003, 1007, 1008, 1009];
export const NOT_OPENED = "The WebSocket did not open.";

/**
 * @param {ErrorKind} kind
 * @param {string} sentence gets a full stop: another one may follow
 * @param {boolean} [isFinal]
 * @param {number | null} [askedMs]
 * @returns {Failure}
 */
export function failure(kind, sentence, isFinal = false, askedMs = null) {
  return { kind, sentence: sentence.replace(/[^.!?]$/, "$&."), askedMs, isFinal };
}

export const silent = () => failure("unreachable", "Nothing answers. Is the server running?");
const expired = () => failure("login", "The login has expired.", true);

/** @type {Opener} */
function openWebSocket(address, _headers, link) {
  const socket = new WebSocket(address);
  let sentence = NOT_OPENED;
  socket.onopen = () => {
    sentence = "";
    link.opened();
  };
  socket.onmessage = ({ data }) => typeof data === "string" && link.received(data);
  // Where the page's policy blocks the address, no close event follows.
  socket.onerror = () => sentence !== "" && link.ended(failure("no stream", sentence));
  socket.onclose = ({ code, reason }) => {
    if (reason === EXPIRED) return link.ended(expired());
    const isFinal = FINAL_CODES.includes(code);
    sentence ||= `The server closed the connection with code ${code}${reason && ": "}${reason}`;
    link.ended(failure(isFinal ? "refused" : "no stream", sentence, isFinal));
  };
  return { close: () => socket.close(1000), send: (text) => socket.send(text) };
}

/** @type {Opener} */
function openEventStream(address, headers, link) {
  const stop = new AbortController();
  receive(address, headers, link, stop.signal).then(link.ended, async (error) => {
    link.ended(error instanceof TypeError ? await noAnswer(address) : failure("no stream", error.message));
  });
  return { close: () => stop.abort() };
}

/**
 * @param {string} address
 * @param {Record<string, string>} headers
 * @param {Link} link
 * @param {AbortSignal} signal
 * @returns {Promise<Failure>} why it ended
 */
async function receive(address, headers, link, signal) {
  // As a WebSocket, it is not redirected.
  const request = { headers: { Accept: MEDIA_TYPE, ...headers }, cache: "no-store", redirect: "manual", signal };
  const response = await fetch(address, /** @type {RequestInit} */ (request));
  const type = response.headers.get("Content-Type") ?? "no type";
  if (response.status !== 200) return refusal(response);
  if (response.body === null || !type.toLowerCase().startsWith(MEDIA_TYPE)) {
    return failure("no stream", `The server sends ${type}, which is not an event stream.`);
  }
  link.opened();
  let id = "";
  let hasExpired = false;
  const parser = new EventParser((data, event, lastId) => {
    const isKnown = !link.isRtdemo || EVENTS.includes(event);
    hasExpired ||= !isKnown && event === "expired";
    if (isKnown && !hasExpired) link.received(data, lastId === id ? undefined : (id = lastId));
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  while (!hasExpired) {
    const { done, value } = await reader.read().catch(() => ({ done: true, value: "" }));
    if (done) return failure("no stream", "The stream ended.", false, parser.retryMs);
    parser.feed(value);
  }
  return expired();
}

/**
 * Return whether anything answers.
 * @param {URL} url
 * @param {RequestMode} [mode] by default, also an answer counts that is hidden from pages of this origin
 */
export function answers(url, mode = "no-cors") {
  const signal = AbortSignal.timeout(POST_TIMEOUT_MS);
  return fetch(url, { method: "HEAD", mode, cache: "no-store", signal }).then(() => true, () => false);
}

/**
 * Find out why there is no answer. A browser reports a network error and an answer that is not for this page alike.
 * @param {string} address
 * @returns {Promise<Failure>}
 */
export async function noAnswer(address) {
  const { origin } = location;
  // Pages of every origin may read it from rtdemo; but not what a proxy answers in its place.
  const file = new URL("../static/client.js", address);
  if (file.origin === origin || !(await answers(file, "cors"))) return silent();
  const fix = origin === "null" ? "serve the page, as a file has none" : `start rtdemo with --allow-origin ${origin}`;
  return failure("refused", `This page's origin is not allowed: ${fix}`);
}

/**
 * Post to the server. A redirect, which would take the headers elsewhere, is not followed.
 * @param {URL} url
 * @param {Record<string, string>} headers
 * @param {string} [body]
 */
export function post(url, headers, body) {
  return fetch(url, { method: "POST", headers, body, redirect: "manual", signal: AbortSignal.timeout(POST_TIMEOUT_MS) });
}

/**
 * Return the server's reason.
 * @param {Response} response
 * @returns {Promise<Failure>}
 */
export async function refusal(response) {
  const { status, headers } = response;
  const text = (await response.text()).trim();
  // A proxy sends a web page.
  const reason = text.startsWith("<") ? "" : `: ${text.slice(0, MAX_REASON_CHARACTERS)}`;
  const isFinal = !mayHeal(status);
  const seconds = Number(headers.get("Retry-After") ?? NaN);
  const askedMs = seconds >= 0 && !isFinal ? seconds * 1000 : null;
  const kind = status === 401 ? "login" : "refused";
  return failure(kind, `The server answered ${status || "by a redirect"}${reason}`, isFinal, askedMs);
}

/** @type {Record<TransportName, Opener>} */
export const OPENERS = { websocket: openWebSocket, sse: openEventStream };
