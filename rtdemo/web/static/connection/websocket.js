// @ts-check
/**
 * The WebSocket transport: reconnects with back-off, as EventSource does by itself, and resumes after the last position.
 * @module connection/websocket
 */
import { clip, oneLine } from "../format.js";
import { Admission, EXPIRED, EXPIRED_SENTENCE } from "./login.js";
import { explainFailure, retrySentence } from "./transport.js";
import { websocketBytes } from "./wire_size.js";

/** @typedef {import("./login.js").Login} Login */
/** @typedef {import("./login.js").NoTicketError} NoTicketError */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

/** An unanswered reconnect is given up after this time. */
const RECONNECT_TIMEOUT_MS = 10_000;

/**
 * Return the WebSocket's address for a page.
 * @param {Location | URL} page
 * @param {string} port of the WebSocket site; empty where it shares the page's origin
 * @returns {URL}
 */
export function websocketUrl(page, port) {
  const scheme = page.protocol === "https:" ? "wss:" : "ws:";
  return new URL(port === "" ? `${scheme}//${page.host}/ws` : `${scheme}//${page.hostname}:${port}/`);
}

/** @implements {Transport} */
export class WebSocketTransport {
  stallHint = "If the network changed, press Disconnect, then Connect.";
  /** @type {string | null} */
  position = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #backoff = new Backoff();
  #events;
  #address;
  #login;
  #admission;

  /**
   * @param {() => string} address called at each connect
   * @param {TransportEvents} events
   * @param {Login | null} [login] null where the server needs none
   */
  constructor(address, events, login = null) {
    this.#address = address;
    this.#events = events;
    this.#login = login;
    this.#admission = new Admission(login);
  }

  get address() {
    return this.#address();
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

  connect() {
    this.#backoff.reset();
    const failed = (/** @type {NoTicketError} */ { message }) => this.#events.refused(message);
    const open = (/** @type {string} */ address) => this.#open(address, (socket) => void this.#explain(socket));
    this.#admission.start(this.address, open, failed);
  }

  disconnect() {
    clearTimeout(this.#timer);
    this.#drop();
  }

  /** Close the socket and ignore its further events. */
  #drop() {
    this.#admission.cancel();
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  /** @param {string} text */
  async send(text) {
    if (this.#socket?.readyState !== WebSocket.OPEN) throw new Error("Not sent: the connection is not open.");
    this.#socket.send(text);
  }

  /**
   * @param {string} address
   * @param {(socket: WebSocket) => void} failed called if it closes before it opened
   */
  #open(address, failed) {
    const socket = this.#create(address);
    if (socket === null) return;
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      clearTimeout(this.#timer);
      this.#events.opened();
    };
    socket.onmessage = ({ data }) => {
      this.#backoff.reset();
      this.#events.message(data, performance.now());
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(this.#timer);
      if (opened) this.#closed(code, reason);
      else failed(socket);
    };
  }

  /**
   * @param {string} address
   * @returns {WebSocket | null}
   */
  #create(address) {
    try {
      return new WebSocket(address);
    } catch (error) {
      // The page does not show the ticket, which is still valid.
      const reason = String(error).replaceAll(address, this.address);
      this.#events.refused(`The browser cannot open ${this.address}: ${reason}`);
      return null;
    }
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    this.#socket = null;
    if (reason === EXPIRED && this.#login !== null) {
      this.#login.expired();
      return this.#events.lost(EXPIRED_SENTENCE);
    }
    if (isFinal(code)) this.#events.lost(`${closeSentence(code, reason)} It stays closed until you press Connect.`);
    else this.#retryLater(closeSentence(code, reason));
  }

  /** @param {string} why */
  #retryLater(why) {
    this.#retryAfter(why, this.#backoff.next());
  }

  /**
   * @param {string} why
   * @param {number} wait milliseconds
   */
  #retryAfter(why, wait) {
    this.#events.reconnecting(why, retrySentence(wait));
    this.#timer = setTimeout(() => this.#reconnect(), wait);
  }

  /** Open a new socket that resumes after the last position. */
  #reconnect() {
    this.#events.reconnecting("", "Opening it again. Disconnect stops this.");
    const address = new URL(this.address);
    if (this.position !== null) address.searchParams.set("last_event_id", this.position);
    this.#timer = setTimeout(() => {
      this.#drop();
      this.#retryLater("No answer in 10 s.");
    }, RECONNECT_TIMEOUT_MS);
    const open = (/** @type {string} */ url) => this.#open(url, () => this.#retryLater("It did not open again."));
    this.#admission.start(address.href, open, ({ message, final }) => {
      clearTimeout(this.#timer);
      if (final) this.#events.lost(message);
      else this.#retryLater(message);
    });
  }

  /** @param {WebSocket} socket */
  async #explain(socket) {
    const unexplained =
      `${this.address} did not open, but the page's server answers.` +
      " Is that port reachable? The server log may name a reason.";
    const { sentence, retryMs } = await explainFailure(this.address, unexplained, this.#login);
    if (this.#socket !== socket) return;
    this.#socket = null;
    if (retryMs === null) this.#events.refused(sentence);
    else this.#retryAfter(sentence, retryMs);
  }
}

export const FIRST_RETRY_MS = 500;
export const MAX_RETRY_MS = 30_000;

/** Exponential back-off with jitter, so that clients do not reconnect all at once. */
export class Backoff {
  #tries = 0;
  #random;

  /** @param {() => number} random from 0 to 1 */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /**
   * Return the wait before the next try: half of it fixed, half random.
   * @returns {number} milliseconds
   */
  next() {
    const most = Math.min(FIRST_RETRY_MS * 2 ** this.#tries, MAX_RETRY_MS);
    this.#tries += 1;
    return most * (0.5 + this.#random() / 2);
  }

  /** Start again from the shortest wait. */
  reset() {
    this.#tries = 0;
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
