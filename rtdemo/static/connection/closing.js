// @ts-check
/**
 * Why a WebSocket ended, in a sentence that says what to do (RFC 6455, section 7.4.1).
 * @module connection/closing
 */
import { clip, oneLine } from "../format.js";

/** @type {Record<number, string>} */
const SENTENCES = {
  1000: "The server closed the connection in good order.",
  1001: "The server is going away: it stops or restarts.",
  1002: "The server saw a protocol error. A proxy in between may have changed the bytes.",
  1003: "The server does not take this kind of data.",
  1006: "The connection broke without a goodbye. Is the network there, and the server running?",
  1007: "The server got text that is not UTF-8.",
  1008: "The server's rules ended it, such as its limit on messages. Send less.",
  1009: "The text was too big: 64 KiB is the most.",
  1011: "The server met an error of its own; its log has it.",
  1013: "This page read too slowly, so the server let go. Is the tab or the network overloaded?",
};

/** Codes whose sentence leaves open what happened, so that the server's own words help. */
const OPEN = new Set([1008, 1011]);

/** After these a further try would end as this one did. */
const FINAL = new Set([1002, 1003, 1007, 1008, 1009]);

/**
 * Tell whether it is no use to try again.
 * @param {number} code
 */
export function isFinal(code) {
  return FINAL.has(code);
}

/**
 * Say why it ended and what to do.
 * @param {number} code
 * @param {string} [reason] the server's own words
 */
export function closing(code, reason = "") {
  const sentence = SENTENCES[code];
  const quoted = reason !== "" && (sentence === undefined || OPEN.has(code));
  const words = quoted ? ` It says: “${clip(oneLine(reason), 80)}”.` : "";
  const ended = sentence ?? "The server closed the connection.";
  return `${ended}${words} Code ${code}.`;
}
