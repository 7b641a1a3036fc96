// @ts-check
/**
 * Audits whether the comparison is fair: one line for each condition that both sides must share. Pure.
 * @module compare/parity
 */
import { sameSpeed } from "../connection/selection.js";
import { clip, oneLine } from "../format.js";

/** @typedef {import("./comparable.js").Payload} Payload */
/** @typedef {import("./comparable.js").Schedule} Schedule */
/** @typedef {import("./connection_info.js").ConnectionInfo} ConnectionInfo */

/**
 * @typedef {object} Evidence
 * @property {ConnectionInfo | null} websocket
 * @property {ConnectionInfo | null} sse
 * @property {string} protocol of this page's own requests, as Resource Timing names it
 * @property {Schedule | null} schedule null while the list of producers is unknown
 * @property {[string, string]} speeds of WebSocket and SSE
 * @property {[Payload | null, Payload | null]} payload of the producers that both received
 * @property {string} missingReason why a connection's info is null
 */

/** @typedef {"ok" | "unknown" | "failed"} Result */
/** @typedef {{ name: string, result: Result, words: string }} Line the keys of the exported run */

/** Relative difference of mean payloads up to which they count as the same; a transport's name causes less. */
const MAX_PAYLOAD_DIFFERENCE = 0.25;

/** Messages of each producer from which a payload difference counts. */
const MIN_MESSAGES = 20;

/**
 * Audit what is compared.
 * @param {Evidence} evidence
 * @returns {Line[]}
 */
export function audit(evidence) {
  return [
    infoLine("Same process", evidence, ({ server, process }) => `process ${process}${server && ` of ${server}`}`),
    payloadLine(evidence),
    scheduleLine(evidence),
    infoLine("TCP_NODELAY", evidence, ({ noDelay }) => noDelay && "on", "off"),
    infoLine("Compression", evidence, ({ compression }) => compression ?? "none"),
    infoLine("HTTP version", evidence, ({ http, tls }) => `HTTP/${http}${tls ? " over TLS" : ""} at the server`),
    proxyLine(evidence),
  ];
}

/**
 * List what makes a comparison invalid.
 * @param {Line[]} lines
 */
export function failures(lines) {
  return lines.filter(({ result }) => result === "failed").map(({ name, words }) => `${words} (${name})`);
}

/**
 * Compare one property of both connections.
 * @param {string} name
 * @param {Evidence} evidence
 * @param {(info: ConnectionInfo) => string | boolean | null} property null if the server cannot determine it
 * @param {string} [no] text for false
 * @returns {Line}
 */
function infoLine(name, { websocket, sse, missingReason }, property, no = "") {
  if (websocket === null || sse === null) return { name, result: "unknown", words: missingReason };
  const [one, other] = [property(websocket), property(sse)];
  if (one === null || other === null) return { name, result: "unknown", words: "the server cannot determine it" };
  const [first, second] = [one, other].map((value) => oneLine(clip(String(value || no), 80)));
  if (first === second) return { name, result: "ok", words: `${first}, both` };
  return { name, result: "failed", words: `WebSocket has ${first}, SSE ${second}` };
}

/**
 * @param {Evidence} evidence
 * @returns {Line}
 */
function payloadLine({ payload: [websocket, sse] }) {
  const name = "Same payload";
  if (websocket === null || sse === null) return { name, result: "unknown", words: "no producer's messages on both yet" };
  const [one, other] = [websocket.mean, sse.mean];
  const words = `${one.toFixed(1)} and ${other.toFixed(1)} bytes of JSON, each producer with the same weight`;
  if (Math.abs(one - other) <= MAX_PAYLOAD_DIFFERENCE * Math.max(one, other)) return { name, result: "ok", words };
  return { name, result: Math.min(websocket.least, sse.least) < MIN_MESSAGES ? "unknown" : "failed", words };
}

/**
 * @param {Evidence} evidence
 * @returns {Line}
 */
function scheduleLine({ schedule, speeds: [websocket, sse] }) {
  const name = "Same schedule";
  if (schedule === null) return { name, result: "unknown", words: "no list of producers from the server yet" };
  const { names, others } = schedule;
  if (!sameSpeed(websocket, sse)) {
    return { name, result: "failed", words: `WebSocket runs at ${websocket}× and SSE at ${sse}×` };
  }
  if (names.length === 0) return { name, result: "failed", words: "no producer runs on both with the same period" };
  const excluded = others.length === 0 ? "" : `; excluded as different: ${list(others)}`;
  return { name, result: "ok", words: `only ${list(names)} compared${excluded}` };
}

/** @param {string[]} names */
function list(names) {
  return oneLine(clip(names.join(", "), 80));
}

/**
 * A proxy shows in the headers that it adds, or in two versions of HTTP: one to this page and another to the server.
 * @param {Evidence} evidence
 * @returns {Line}
 */
function proxyLine(evidence) {
  const { sse, protocol } = evidence;
  const name = "Proxy in between";
  const line = infoLine(name, evidence, ({ forwarding }) => forwarding.join(", ") || "none seen");
  if (line.result !== "ok" || sse === null || !/^(h2|h3)/.test(protocol)) return line;
  if (sse.http.startsWith(protocol[1])) return line;
  return { ...line, words: `${line.words}; it uses ${protocol} to this page, HTTP/${sse.http} to the server` };
}
