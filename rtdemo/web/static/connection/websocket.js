// @ts-check
/**
 * The WebSocket transport. A connection that broke is opened again, as EventSource does by nature, and goes on behind the
 * last position that was seen.
 * @module connection/websocket
 */
import { clip, oneLine } from "../format.js";
import { diagnosis } from "./transport.js";
import { websocketBytes } from "./wire_size.js";

/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

/**
 * Tell the WebSocket's address from the page's.
 * @param {Location | URL} page
 * @param {string} port the port of its own, empty where it shares the page's origin
 * @returns {URL}
 */
export function websocketUrl(page, port) {
  const scheme = page.protocol === "https:" ? "wss:" : "ws:";
  return new URL(port === "" ? `${scheme}//${page.host}/ws` : `${scheme}//${page.hostname}:${port}/`);
}

/** A retry that has no answer after so long is given up. */
const RETRY_MS = 10_000;

/** @implements {Transport} */
export class WebSocketTransport {
  stalled = "If the network changed, Disconnect and Connect.";
  /** @type {string | null} */
  position = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  #backoff = new Backoff();
  #events;

  #address;

  /**
   * @param {() => string} address asked at each connect
   * @param {TransportEvents} events
   */
  constructor(address, events) {
    this.#address = address;
    this.#events = events;
  }

  get address() {
    return this.#address();
  }

  slow() {
    return "No answer yet. A firewall may drop this port, or a proxy may not pass the upgrade on.";
  }

  away() {
    return null;
  }

  /** @param {number} payload */
  wireBytes(payload) {
    return websocketBytes(payload);
  }

  connect() {
    this.#backoff.reset();
    this.#open(this.address, (socket) => void this.#explain(socket));
  }

  disconnect() {
    clearTimeout(this.#retry);
    this.#drop();
  }

  /** Let go of the socket; it says no more. */
  #drop() {
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
   * @param {(socket: WebSocket) => void} failed called where it closes before it was open
   */
  #open(address, failed) {
    const socket = this.#create(address);
    if (socket === null) return;
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      clearTimeout(this.#retry);
      this.#events.opened();
    };
    socket.onmessage = ({ data }) => {
      this.#backoff.reset();
      this.#events.message(data, performance.now());
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(this.#retry);
      if (opened) this.#broken(code, reason);
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
      this.#events.refused(`The browser will not open ${address}: ${error}`);
      return null;
    }
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #broken(code, reason) {
    this.#socket = null;
    if (isFinal(code)) this.#events.lost(`${closing(code, reason)} It stays closed until you press Connect.`);
    else this.#again(closing(code, reason));
  }

  /** @param {string} why */
  #again(why) {
    const wait = this.#backoff.next();
    this.#events.reconnecting(why, `Trying again in ${(wait / 1000).toFixed(1)} s, until you press Disconnect.`);
    this.#retry = setTimeout(() => this.#reopen(), wait);
  }

  /** Go on behind the last position. */
  #reopen() {
    this.#events.reconnecting("", "Opening it again; Disconnect gives up.");
    const address = new URL(this.address);
    if (this.position !== null) address.searchParams.set("last_event_id", this.position);
    this.#retry = setTimeout(() => {
      this.#drop();
      this.#again("No answer in 10 s.");
    }, RETRY_MS);
    this.#open(address.href, () => this.#again("It did not open again."));
  }

  /** @param {WebSocket} socket */
  async #explain(socket) {
    const silent =
      `${this.address} did not open, though the page's server answers.` +
      " Can that port be reached, or did its log note a refusal?";
    const sentence = await diagnosis(this.address, silent);
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#events.refused(sentence);
  }
}

export const FIRST_MS = 500;
export const LAST_MS = 30_000;

export class Backoff {
  #tries = 0;
  #random;

  /** @param {() => number} random from 0 to 1 */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /**
   * Tell how long to wait before the next try: half of it is certain, half is chance.
   * @returns {number} milliseconds
   */
  next() {
    const most = Math.min(FIRST_MS * 2 ** this.#tries, LAST_MS);
    this.#tries += 1;
    return most * (0.5 + this.#random() / 2);
  }

  /** It worked: begin afresh. */
  reset() {
    this.#tries = 0;
  }
}

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
