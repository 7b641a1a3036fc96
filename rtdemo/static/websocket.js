// @ts-check
/**
 * The WebSocket transport.
 * @module websocket
 */
import { closing } from "./closing.js";
import { serverAnswers } from "./transport.js";

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

/** @implements {Transport} */
export class WebSocketTransport {
  slow = "No answer yet. A firewall may drop this port, or a proxy may not pass the upgrade on.";
  stalled = "If the network changed, Disconnect and Connect.";
  /** @type {WebSocket | null} */
  #socket = null;
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

  connect() {
    const socket = this.#create();
    if (socket === null) return;
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#events.opened();
    };
    socket.onmessage = ({ data }) => this.#events.message(data, performance.now());
    socket.onclose = ({ code, reason }) => {
      if (!opened) return void this.#explain(socket);
      this.#socket = null;
      this.#events.lost(closing(code, reason));
    };
  }

  disconnect() {
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

  /** @returns {WebSocket | null} */
  #create() {
    try {
      return new WebSocket(this.address);
    } catch (error) {
      this.#events.refused(`The browser will not open ${this.address}: ${error}`);
      return null;
    }
  }

  /** @param {WebSocket} socket */
  async #explain(socket) {
    const alive = await serverAnswers();
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#events.refused(
      alive
        ? `${this.address} did not open, though the page's server answers.` +
            " Can that port be reached, or did its log note a refusal?"
        : `Nothing answers at ${this.address}. Is the server running, and is that port open?`,
    );
  }
}
