// @ts-check
/**
 * The Server-Sent Events transport: EventSource to receive, POST to send.
 * @module connection/sse
 */
import { clip, oneLine } from "../format.js";
import { Admission, EXPIRED_SENTENCE } from "./login.js";
import { streamsExhausted } from "./tabs.js";
import { explainFailure, retrySentence } from "./transport.js";
import { Backoff } from "./websocket.js";
import { sseBytes } from "./wire_size.js";

/** @typedef {import("../measure/resource_timing.js").ResourceTiming} ResourceTiming */
/** @typedef {import("./login.js").Login} Login */
/** @typedef {import("./tabs.js").Tabs} Tabs */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

const SEND_TIMEOUT_MS = 10_000;

/** @implements {Transport} */
export class SseTransport {
  stallHint = "If there is a proxy, check that it does not buffer.";
  /** Used after a refusal or with a login: else EventSource keeps the last event id by itself. @type {string | null} */
  position = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #backoff = new Backoff();
  #wasOpen = false;
  /** @type {EventSource | null} */
  #source = null;
  #events;
  #address;
  #timing;
  #tabs;
  #login;
  #admission;

  /**
   * @param {() => string} address called at each connect
   * @param {TransportEvents} events
   * @param {ResourceTiming} timing
   * @param {Tabs} tabs
   * @param {Login | null} [login] null where the server needs none
   */
  constructor(address, events, timing, tabs, login = null) {
    this.#login = login;
    this.#admission = new Admission(login);
    this.#address = address;
    this.#events = events;
    this.#timing = timing;
    this.#tabs = tabs;
  }

  get address() {
    return this.#address();
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

  connect() {
    this.#backoff.reset();
    this.#wasOpen = false;
    this.#admission.start(
      this.address,
      (address) => this.#open(address),
      ({ message }) => this.#events.refused(message),
    );
  }

  /** @param {string} address */
  #open(address) {
    const source = new EventSource(address);
    this.#source = source;
    let opened = false;
    source.onopen = () => {
      opened = this.#wasOpen = true;
      this.#tabs.holdsStream = true;
      this.#events.opened();
    };
    source.onmessage = ({ data }) => {
      this.#backoff.reset();
      this.#events.message(data, performance.now());
    };
    source.addEventListener("expired", () => this.#expired());
    source.onerror = () => this.#failed(source, opened);
  }

  disconnect() {
    clearTimeout(this.#timer);
    this.#admission.cancel();
    this.#tabs.holdsStream = false;
    this.#source?.close();
    this.#source = null;
  }

  /**
   * @param {string} text
   * @param {string | null} client
   */
  async send(text, client) {
    if (client === null) throw new Error("Not sent: the stream has not sent the client id yet.");
    const url = new URL("/api/messages", this.address);
    url.searchParams.set("client", client);
    const signal = AbortSignal.timeout(SEND_TIMEOUT_MS);
    const response = await fetch(url, { method: "POST", body: text, headers: this.#login?.headers ?? {}, signal }).catch(() => null);
    if (response === null) {
      const reason = await this.#tabs.explainNoAnswer(this.#timing.protocol);
      throw new Error(`Not sent. ${reason ?? "Nothing answers the POST. Is the server running?"}`);
    }
    if (response.ok) return;
    const reason = clip(oneLine((await response.text()).trim()), 120);
    throw new Error(`Not sent: the server answered ${response.status}. ${reason}`);
  }

  /**
   * EventSource gives no reason: it either retries by itself or has given up (readyState CLOSED).
   * @param {EventSource} source
   * @param {boolean} opened
   */
  #failed(source, opened) {
    if (source !== this.#source) return;
    this.#tabs.holdsStream = false;
    if (this.#login !== null && this.#wasOpen) {
      source.close();
      this.#retryLater(opened ? "The stream broke." : "It did not open again.");
      return;
    }
    if (opened && source.readyState === EventSource.CONNECTING) {
      this.#events.reconnecting("The stream broke.", "The browser retries by itself until you press Disconnect.");
      return;
    }
    source.close();
    void this.#explain(source, opened);
  }

  #expired() {
    if (this.#login === null) return;
    this.disconnect();
    this.#login.expired();
    this.#events.lost(EXPIRED_SENTENCE);
  }

  /**
   * Reconnect later: EventSource does not after an answer of 429 or 503, and would use an old ticket again.
   * @param {string} why
   * @param {number} [ms] as the server asked
   */
  #retryLater(why, ms = this.#backoff.next()) {
    this.#source = null;
    this.#timer = setTimeout(() => this.#reconnect(why), ms);
    this.#events.reconnecting(why, retrySentence(ms));
  }

  /** @param {string} why */
  #reconnect(why) {
    this.#events.reconnecting(why, "Opening it again. Disconnect stops this.");
    const address = new URL(this.address);
    if (this.position !== null) address.searchParams.set("last_event_id", this.position);
    this.#admission.start(
      address.href,
      (url) => this.#open(url),
      ({ message, final }) => {
        if (final) this.#events.lost(message);
        else this.#retryLater(message);
      },
    );
  }

  /**
   * @param {EventSource} source
   * @param {boolean} opened
   */
  async #explain(source, opened) {
    const unexplained = "The server answers but refused the stream. It may be at its limit; see the server log.";
    const { sentence, retryMs } = await explainFailure(this.address, unexplained, this.#login);
    if (this.#source !== source) return;
    this.#source = null;
    if (retryMs !== null) return this.#retryLater(sentence, retryMs);
    if (opened) this.#events.lost(`The browser gave up. ${sentence}`);
    else this.#events.refused(sentence);
  }
}
