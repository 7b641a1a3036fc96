// @ts-check
/**
 * The WebSocket transport.
 * @module connection/websocket
 */
import { clip, oneLine } from "../format.js";
import { EXPIRED } from "./login.js";
import { ReconnectingTransport } from "./reconnecting.js";
import { NOT_OPENED } from "./sentences.js";
import { PROBE_TIMEOUT_MS } from "./transport.js";
import { websocketBytes } from "./wire_size.js";

/** @typedef {import("./login.js").Login} Login */
/** @typedef {import("./reconnecting.js").Link} Link */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

/** Path of the WebSocket beside the page: the server may be below a path, as behind a proxy. */
const OWN_PATH = "ws";

/** Answers to a GET that is no handshake, from a server that has a WebSocket there. */
const NEEDS_UPGRADE = [400, 426];

/**
 * Return the WebSocket's address for a page.
 * @param {Location | URL} page
 * @param {string} port of the WebSocket site; empty where it shares the page's origin
 * @returns {URL}
 */
export function websocketUrl(page, port) {
  const scheme = page.protocol === "https:" ? "wss:" : "ws:";
  if (port !== "") return new URL(`${scheme}//${page.hostname}:${port}/`);
  const url = new URL(OWN_PATH, page.href);
  url.protocol = scheme;
  return url;
}

/** @implements {Transport} */
export class WebSocketTransport extends ReconnectingTransport {
  stallHint = "";
  /** @type {WebSocket | null} */
  #socket = null;

  /**
   * @param {() => string} address called at each try
   * @param {TransportEvents} events
   * @param {Login | null} [login] null where the server needs none
   */
  constructor(address, events, login = null) {
    super(address, events, login);
  }

  connectHint() {
    return "No answer yet. A firewall may drop this port, or a proxy may not forward the upgrade.";
  }

  reconnectHint() {
    return null;
  }

  /** @param {number} payload bytes */
  wireBytes(payload) {
    return websocketBytes(payload);
  }

  /** @param {string} text */
  async send(text) {
    if (this.#socket?.readyState !== WebSocket.OPEN) throw new Error("Not sent: the connection is not open.");
    this.#socket.send(text);
  }

  /**
   * @override
   * @param {string} address
   * @param {Link} link
   */
  open(address, link) {
    const socket = new WebSocket(address);
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      link.opened();
    };
    socket.onmessage = ({ data }) => link.message(data);
    // Where the page's policy blocks the address, no close event follows.
    socket.onerror = () => {
      if (!opened) link.ended(NOT_OPENED);
    };
    socket.onclose = ({ code, reason }) => {
      if (!opened) link.ended(NOT_OPENED);
      else if (reason === EXPIRED && this.needsLogin) link.expired();
      else link.ended(closeSentence(code, reason), isFinal(code));
    };
    return () => {
      socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
      socket.close(1000);
    };
  }

  /** @override */
  async unexplained() {
    const sentence = `${this.address} did not open, but the page's server answers.`;
    if (new URL(this.address).host === location.host) {
      return `${sentence} A proxy may not forward the upgrade. The server log may name a reason.`;
    }
    if (await isOnOwnOrigin()) {
      return `${sentence} It has a WebSocket on this page's port too: start it with --single-site to use that.`;
    }
    return `${sentence} Is that port reachable? The server log may name a reason.`;
  }
}

/** Return whether the page's own origin has a WebSocket too. It answers a plain GET that it needs an upgrade. */
async function isOnOwnOrigin() {
  try {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    const response = await fetch(OWN_PATH, { cache: "no-store", signal });
    return NEEDS_UPGRADE.includes(response.status);
  } catch {
    return false;
  }
}

/** Meanings of the close codes (RFC 6455, section 7.4.1). @type {Record<number, string>} */
const CLOSE_SENTENCES = {
  1000: "The server closed the connection normally.",
  1001: "The server is going away: it stops or restarts.",
  1002: "The server saw a protocol error. A proxy may have changed the bytes.",
  1003: "The server does not accept this kind of data.",
  1006: "The connection broke without a close frame. Is the network up, and is the server running?",
  1007: "The server received text that is not UTF-8.",
  1008: "The server's rules ended it, such as its rate limit. Send less.",
  1009: "The text was too big: the limit is 64 KiB.",
  1011: "Internal server error; see the server log.",
  1013: "This page read too slowly, so the server closed the connection. Is the tab or the network overloaded?",
};

/** Codes for which the server's reason is shown too, as the sentence is general. */
const CODES_WITH_REASON = new Set([1008, 1011]);

/** Codes after which a retry would end in the same way. */
const FINAL_CODES = new Set([1002, 1003, 1007, 1008, 1009]);

/**
 * Return whether a retry is useless after this close code.
 * @param {number} code
 */
export function isFinal(code) {
  return FINAL_CODES.has(code);
}

/**
 * Explain a close code and what to do.
 * @param {number} code
 * @param {string} [reason] as the server sent it
 */
export function closeSentence(code, reason = "") {
  const sentence = CLOSE_SENTENCES[code];
  const quoted = reason !== "" && (sentence === undefined || CODES_WITH_REASON.has(code));
  const quote = quoted ? ` Reason: “${clip(oneLine(reason), 80)}”.` : "";
  return `${sentence ?? "The server closed the connection."}${quote} Code ${code}.`;
}
