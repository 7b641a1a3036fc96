// @ts-check
/**
 * The Server-Sent Events transport: EventSource to receive, POST to send.
 * @module connection/sse
 */
import { clip, oneLine } from "../format.js";
import { ReconnectingTransport } from "./reconnecting.js";
import { NOT_OPENED } from "./sentences.js";
import { streamsExhausted } from "./tabs.js";
import { sseBytes } from "./wire_size.js";

/** @typedef {import("../measure/resource_timing.js").ResourceTiming} ResourceTiming */
/** @typedef {import("./login.js").Login} Login */
/** @typedef {import("./reconnecting.js").Link} Link */
/** @typedef {import("./tabs.js").Tabs} Tabs */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

const SEND_TIMEOUT_MS = 10_000;

/** @implements {Transport} */
export class SseTransport extends ReconnectingTransport {
  stallHint = "If there is a proxy, check that it does not buffer.";
  #timing;
  #tabs;

  /**
   * @param {() => string} address called at each try
   * @param {TransportEvents} events
   * @param {ResourceTiming} timing
   * @param {Tabs} tabs
   * @param {Login | null} [login] null where the server needs none
   */
  constructor(address, events, timing, tabs, login = null) {
    super(address, events, login);
    this.#timing = timing;
    this.#tabs = tabs;
  }

  /** Ask the other tabs, and use their answers at the next call. */
  connectHint() {
    this.#tabs.ask();
    return (
      streamsExhausted(this.#tabs, this.#timing.protocol) ??
      "No answer yet. Over HTTP/1.1 a browser opens six streams to one origin: close other tabs of it."
    );
  }

  /** Ask the other tabs here too: a reconnect needs a free connection as well. */
  reconnectHint() {
    this.#tabs.ask();
    return streamsExhausted(this.#tabs, this.#timing.protocol);
  }

  /**
   * @param {number} payload bytes
   * @param {string | null} id
   */
  wireBytes(payload, id) {
    return sseBytes(payload, id, this.#timing.protocol);
  }

  /**
   * @override
   * @param {string} address
   * @param {Link} link
   */
  open(address, link) {
    const source = new EventSource(address);
    const close = () => {
      this.#tabs.holdsStream = false;
      source.close();
    };
    let opened = false;
    source.onopen = () => {
      opened = this.#tabs.holdsStream = true;
      link.opened();
    };
    source.onmessage = ({ data }) => link.message(data);
    source.addEventListener("heartbeat", ({ data }) => link.message(data));
    source.addEventListener("expired", () => {
      if (this.needsLogin) link.expired();
    });
    source.onerror = () => {
      // Otherwise the browser would open it again by itself.
      close();
      link.ended(opened ? "The stream broke." : NOT_OPENED);
    };
    return close;
  }

  /**
   * @param {string} text
   * @param {string | null} client
   */
  async send(text, client) {
    if (client === null) throw new Error("Not sent: the stream has not sent the client id yet.");
    const url = new URL("messages", this.address);
    url.searchParams.set("client", client);
    const signal = AbortSignal.timeout(SEND_TIMEOUT_MS);
    const response = await fetch(url, { method: "POST", body: text, headers: this.headers, signal }).catch(() => null);
    if (response === null) {
      const reason = await this.#tabs.explainNoAnswer(this.#timing.protocol);
      throw new Error(`Not sent. ${reason ?? "Nothing answers the POST. Is the server running?"}`);
    }
    if (response.ok) return;
    const reason = clip(oneLine((await response.text()).trim()), 120);
    throw new Error(`Not sent: the server answered ${response.status}. ${reason}`);
  }

  /** @override */
  async unexplained() {
    return "The server answers but refused the stream. It may be at its limit; see the server log.";
  }
}
