// @ts-check
/**
 * Whether like is compared with like, line by line. Pure: facts are handed in.
 * @module compare/parity
 */
import { clip, oneLine } from "../format.js";
import { sameSpeed } from "../connection/selection.js";

/** @typedef {import("./comparable.js").Payload} Payload */
/** @typedef {import("./comparable.js").Schedule} Schedule */

/**
 * @typedef {object} Facts what GET /api/probe/connection says of a connection
 * @property {string} server
 * @property {number} process
 * @property {string} http
 * @property {boolean} tls
 * @property {boolean | null} noDelay
 * @property {string | null} compression
 * @property {string[]} forwarding names of headers that a proxy added
 */

/**
 * @typedef {object} Evidence
 * @property {Facts | null} websocket
 * @property {Facts | null} sse
 * @property {string} protocol what this page's own requests speak, as Resource Timing names it
 * @property {Schedule | null} schedule null while the list of producers is not known
 * @property {[string, string]} speeds of WebSocket and SSE
 * @property {[Payload | null, Payload | null]} payload of the producers that both received
 * @property {string} untold why the facts are not told, where they are not
 */

/** @typedef {"ok" | "not told" | "failed"} Result */
/** @typedef {{ name: string, result: Result, words: string }} Line */

/** Payloads of the same producers that differ by more are not the same: more than a transport's name makes of it. */
const APART = 0.25;

/** Messages of each producer without which sizes that change say nothing. */
const SETTLED = 20;

/**
 * Audit what is compared.
 * @param {Evidence} evidence
 * @returns {Line[]}
 */
export function audit(evidence) {
  return [
    both("Same process", evidence, ({ server, process }) => `process ${process}${server && ` of ${server}`}`),
    payloadLine(evidence),
    scheduleLine(evidence),
    both("TCP_NODELAY", evidence, ({ noDelay }) => noDelay && "on", "off"),
    both("Compression", evidence, ({ compression }) => compression ?? "none"),
    both("HTTP version", evidence, ({ http, tls }) => `HTTP/${http}${tls ? " over TLS" : ""} at the server`),
    proxyLine(evidence),
  ];
}

/**
 * Say what makes a comparison void.
 * @param {Line[]} lines
 */
export function failures(lines) {
  return lines.filter(({ result }) => result === "failed").map(({ name, words }) => `${words} (${name})`);
}

/**
 * Compare one fact of both connections.
 * @param {string} name
 * @param {Evidence} evidence
 * @param {(facts: Facts) => string | boolean | null} fact null where the server could not tell
 * @param {string} [no] what false is called
 * @returns {Line}
 */
function both(name, { websocket, sse, untold }, fact, no = "") {
  if (websocket === null || sse === null) return { name, result: "not told", words: untold };
  const [one, other] = [websocket, sse].map(fact);
  if (one === null || other === null) return { name, result: "not told", words: "the server cannot tell" };
  const [said, saidOther] = [one, other].map((value) => oneLine(clip(String(value || no), 80)));
  if (said === saidOther) return { name, result: "ok", words: `${said}, both` };
  return { name, result: "failed", words: `WebSocket has ${said}, SSE ${saidOther}` };
}

/**
 * @param {Evidence} evidence
 * @returns {Line}
 */
function payloadLine({ payload: [websocket, sse] }) {
  const name = "Same payload";
  if (websocket === null || sse === null) return { name, result: "not told", words: "no producer's messages on both yet" };
  const [one, other] = [websocket.mean, sse.mean];
  const words = `${one.toFixed(1)} and ${other.toFixed(1)} bytes of JSON a message, of the same producers`;
  if (Math.abs(one - other) <= APART * Math.max(one, other)) return { name, result: "ok", words };
  return { name, result: Math.min(websocket.least, sse.least) < SETTLED ? "not told" : "failed", words };
}

/**
 * @param {Evidence} evidence
 * @returns {Line}
 */
function scheduleLine({ schedule, speeds: [websocket, sse] }) {
  const name = "Same schedule";
  if (schedule === null) return { name, result: "not told", words: "the server has not told its producers" };
  const { names, others } = schedule;
  if (!sameSpeed(websocket, sse)) {
    return { name, result: "failed", words: `WebSocket runs at ${websocket}× and SSE at ${sse}×` };
  }
  if (names.length === 0) return { name, result: "failed", words: "no producer runs on both in the same period" };
  const aside = others.length === 0 ? "" : `; left aside as unlike: ${list(others)}`;
  return { name, result: "ok", words: `only ${list(names)} compared${aside}` };
}

/** @param {string[]} names */
function list(names) {
  return oneLine(clip(names.join(", "), 80));
}

/**
 * A proxy shows in the headers that it adds, and where this page speaks another version of HTTP than the server hears.
 * @param {Evidence} evidence
 * @returns {Line}
 */
function proxyLine(evidence) {
  const { sse, protocol } = evidence;
  const name = "Proxy in between";
  const line = both(name, evidence, ({ forwarding }) => forwarding.join(", ") || "none seen");
  if (line.result !== "ok" || sse === null || !/^(h2|h3)/.test(protocol)) return line;
  if (sse.http.startsWith(protocol[1])) return line;
  return { ...line, words: `${line.words}; it speaks ${protocol} to this page, HTTP/${sse.http} to the server` };
}
