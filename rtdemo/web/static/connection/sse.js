// @ts-check
/**
 * The Server-Sent Events transport: EventSource down, POST up.
 * @module connection/sse
 */
import { clip, oneLine } from "../format.js";
import { sseBytes } from "./wire_size.js";
import { crowded } from "./tabs.js";
import { diagnosis } from "./transport.js";

/** @typedef {import("./tabs.js").Tabs} Tabs */
/** @typedef {import("../measure/resource_timing.js").Timing} Timing */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

const SEND_TIMEOUT_MS = 10_000;

/** @implements {Transport} */
export class SseTransport {
  stalled = "If a proxy is in between, see that it does not buffer.";
  /** EventSource keeps the last event id by itself. @type {string | null} */
  position = null;
  /** @type {EventSource | null} */
  #source = null;
  #events;
  #address;
  #timing;
  #tabs;

  /**
   * @param {() => string} address asked at each connect
   * @param {TransportEvents} events
   * @param {Timing} timing
   * @param {Tabs} tabs
   */
  constructor(address, events, timing, tabs) {
    this.#address = address;
    this.#events = events;
    this.#timing = timing;
    this.#tabs = tabs;
  }

  get address() {
    return this.#address();
  }

  /** Asked every second while no answer comes, this calls the roll of the other tabs for the next time. */
  slow() {
    this.#tabs.call();
    return (
      crowded(this.#tabs, this.#timing.protocol) ??
      "No answer yet. Over HTTP/1.1 a browser opens six streams to one origin: close other tabs of it."
    );
  }

  /** Calls the roll as well: a stream that comes back needs a connection like any other. */
  away() {
    this.#tabs.call();
    return crowded(this.#tabs, this.#timing.protocol);
  }

  /**
   * @param {number} payload
   * @param {string | null} id
   */
  wireBytes(payload, id) {
    return sseBytes(payload, id, this.#timing.protocol);
  }

  connect() {
    const source = new EventSource(this.address);
    this.#source = source;
    let opened = false;
    source.onopen = () => {
      opened = true;
      this.#tabs.holds = true;
      this.#events.opened();
    };
    source.onmessage = ({ data }) => this.#events.message(data, performance.now());
    source.onerror = () => this.#broken(source, opened);
  }

  disconnect() {
    this.#tabs.holds = false;
    this.#source?.close();
    this.#source = null;
  }

  /**
   * @param {string} text
   * @param {string | null} client
   */
  async send(text, client) {
    if (client === null) throw new Error("Not sent: the stream has not named this client yet.");
    const url = new URL("/api/messages", this.address);
    url.searchParams.set("client", client);
    const signal = AbortSignal.timeout(SEND_TIMEOUT_MS);
    const response = await fetch(url, { method: "POST", body: text, signal }).catch(() => null);
    if (response === null) {
      const reason = await this.#tabs.reason(this.#timing.protocol);
      throw new Error(`Not sent. ${reason ?? "Nothing answers the POST. Is the server running?"}`);
    }
    if (response.ok) return;
    const words = clip(oneLine((await response.text()).trim()), 120);
    throw new Error(`Not sent: the server answered ${response.status}. ${words}`);
  }

  /**
   * EventSource tells no reason: it either tries again by itself or has given up (readyState CLOSED).
   * @param {EventSource} source
   * @param {boolean} opened
   */
  #broken(source, opened) {
    if (source !== this.#source) return;
    this.#tabs.holds = false;
    if (opened && source.readyState === EventSource.CONNECTING) {
      this.#events.reconnecting("The stream broke.", "The browser tries again by itself until you press Disconnect.");
      return;
    }
    source.close();
    void this.#explain(source, opened);
  }

  /**
   * @param {EventSource} source
   * @param {boolean} opened
   */
  async #explain(source, opened) {
    const silent = "The server answers but refused the stream. It may be at its limit; its log says why.";
    const sentence = await diagnosis(source.url, silent);
    if (this.#source !== source) return;
    this.#source = null;
    if (opened) this.#events.lost(`The browser gave up. ${sentence}`);
    else this.#events.refused(sentence);
  }
}
