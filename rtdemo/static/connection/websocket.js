// @ts-check
/**
 * The WebSocket transport. A connection that broke is opened again, as EventSource does by nature, and goes on behind the
 * last position that was seen.
 * @module connection/websocket
 */
import { Backoff } from "./backoff.js";
import { closing, isFinal } from "./closing.js";
import { websocketBytes } from "./wire_size.js";
import { diagnosis } from "./transport.js";

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
