// @ts-check
/**
 * Opens a connection, and opens it again after each loss: one path for both transports.
 *
 * After a loss the connection is opened again with back-off and jitter, after the last position. A try that gets no answer is
 * dropped and made again. EventSource's own retry is not used: it may take long, does not report when it comes, ends after
 * an answer of 429 or 503, and repeats an old address.
 * @module connection/reconnecting
 */
import { Backoff, FIRST_RETRY_MS } from "../client/backoff.js";
import { HEARTBEAT_S } from "../client/liveness.js";
import { watchPage } from "../client/wake.js";
import { Admission, EXPIRED_SENTENCE } from "./login.js";
import { OFFLINE, STAYS_CLOSED } from "./sentences.js";
import { explainFailure, serverAnswers } from "./transport.js";

/** @typedef {import("./login.js").Login} Login */
/** @typedef {import("./login.js").NoTicketError} NoTicketError */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

/**
 * @typedef {object} Link one connection, as a transport reports it
 * @property {() => void} opened
 * @property {(data: unknown) => void} message
 * @property {(cause: string, isFinal?: boolean) => void} ended it was open or not; final: a retry would end in the same way
 * @property {() => void} expired its login token has expired
 */

/**
 * A try to reconnect is dropped after this time. With the longest wait, a connection is back within 10 s of the end of an
 * outage. A path that took longer to open before gets more.
 */
const ATTEMPT_TIMEOUT_MS = 4_000;
const MAX_ATTEMPT_TIMEOUT_MS = 15_000;
const OPENING_TIMES = 3;

/** A try that began just before an event that calls for one is as good. */
const RECENT_MS = 1_000;

export class ReconnectingTransport {
  /** After which a reconnect resumes. @type {string | null} */
  position = null;
  #backoff = new Backoff();
  #events;
  #address;
  #login;
  #admission;
  /** Closes the open connection, or the one that is being opened. @type {(() => void) | null} */
  #close = null;
  /** The next try, or the end of the time of this one. @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Changes with each try, loss and disconnect: what belongs to an older one no longer counts. */
  #number = 0;
  /** @type {"closed" | "opening" | "open" | "waiting"} */
  #state = "closed";
  /** Whether this is the first try since connect(). */
  #isFirst = true;
  /** Whether the last try failed. */
  #hasFailed = false;
  /** Whether the server asked for the wait. */
  #isAsked = false;
  #cause = "";
  #retryAt = 0;
  #startedAt = 0;
  #openingMs = 0;

  /**
   * @param {() => string} address called at each try
   * @param {TransportEvents} events
   * @param {Login | null} login null where the server needs none
   */
  constructor(address, events, login) {
    this.#address = address;
    this.#events = events;
    this.#login = login;
    this.#admission = new Admission(login);
    const restored = () => this.drop("The browser had closed this page's connections while another page was shown.");
    watchPage(() => this.hurry(), restored);
    addEventListener("offline", () => this.#report());
  }

  get address() {
    return this.#address();
  }

  /** Headers of a request to the API. */
  get headers() {
    return this.#login?.headers ?? {};
  }

  /** Whether the server needs a login. */
  get needsLogin() {
    return this.#login !== null;
  }

  /** Sentence for a server that answers, but opened no connection and gave no reason. @returns {Promise<string>} */
  async unexplained() {
    throw new Error("not implemented");
  }

  /**
   * Open one connection.
   * @param {string} _address
   * @param {Link} _link gets its events
   * @returns {() => void} closes it; throws if the browser refuses the address
   */
  open(_address, _link) {
    throw new Error("not implemented");
  }

  connect() {
    this.#backoff.reset();
    this.#isFirst = true;
    this.#hasFailed = false;
    this.#try();
  }

  /** Close the connection; no event follows. */
  disconnect() {
    this.#end();
    this.#state = "closed";
  }

  /**
   * Drop a connection that no longer works, and open it again at once.
   * @param {string} cause
   */
  drop(cause) {
    if (this.#state === "closed") return;
    this.#isFirst = false;
    this.#hasFailed = false;
    this.#cause = cause;
    this.#try();
  }

  /** Try now instead of later: the reader asks, or the network or the page is back. A try that began long ago may wait for the old network. */
  hurry() {
    const isStuck = this.#state === "opening" && !this.#isFirst && performance.now() - this.#startedAt > RECENT_MS;
    if (!isStuck && (this.#state !== "waiting" || this.#isAsked)) return;
    this.#backoff.reset();
    this.#hasFailed = false;
    this.#try();
  }

  /** Begin anew: what is under way no longer counts. */
  #end() {
    clearTimeout(this.#timer);
    this.#admission.cancel();
    this.#number += 1;
    this.#close?.();
    this.#close = null;
  }

  #try() {
    this.#end();
    this.#state = "opening";
    this.#startedAt = performance.now();
    if (!this.#isFirst) {
      this.#report();
      const timeout = Math.min(Math.max(ATTEMPT_TIMEOUT_MS, OPENING_TIMES * this.#openingMs), MAX_ATTEMPT_TIMEOUT_MS);
      this.#timer = setTimeout(() => this.#retry(`No answer in ${Math.round(timeout / 1000)} s.`), timeout);
    }
    if (this.#hasFailed) void this.#openIfAnswered(this.#number);
    else this.#admit();
  }

  /**
   * Open the connection once the page's server answers: browsers make a WebSocket wait, longer after each failure.
   * @param {number} number
   */
  async #openIfAnswered(number) {
    const isAnswered = await serverAnswers();
    if (number !== this.#number) return;
    if (isAnswered) this.#admit();
    else this.#retry("The server does not answer. Is it running, and is the network up?");
  }

  #admit() {
    const number = this.#number;
    const url = new URL(this.address);
    url.searchParams.set("heartbeat", String(HEARTBEAT_S));
    if (!this.#isFirst && this.position !== null) url.searchParams.set("last_event_id", this.position);
    this.#admission.start(
      url.href,
      (address) => this.#open(address, number),
      (error) => this.#notAdmitted(error),
    );
  }

  /**
   * @param {string} address
   * @param {number} number
   */
  #open(address, number) {
    const current = (/** @type {(...given: any[]) => void} */ action) => {
      return (/** @type {any[]} */ ...given) => {
        if (number === this.#number) action(...given);
      };
    };
    try {
      this.#close = this.open(address, {
        opened: current(() => this.#opened()),
        message: current((data) => this.#message(data)),
        ended: current((cause, isFinal) => this.#ended(cause, isFinal === true)),
        expired: current(() => this.#expired()),
      });
    } catch (error) {
      // The page does not show the ticket, which is still valid.
      const reason = String(error).replaceAll(address, this.address);
      this.disconnect();
      this.#events.refused(`The browser cannot open ${this.address}: ${reason}`);
    }
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#state = "open";
    this.#isFirst = this.#hasFailed = false;
    this.#openingMs = performance.now() - this.#startedAt;
    this.#events.opened();
  }

  /** @param {unknown} data */
  #message(data) {
    this.#backoff.reset();
    this.#events.message(data, performance.now());
  }

  #expired() {
    this.disconnect();
    this.#login?.expired();
    this.#events.lost(EXPIRED_SENTENCE);
  }

  /** @param {NoTicketError} error */
  #notAdmitted({ message, isFinal }) {
    if (this.#isFirst || isFinal) this.#stop(message);
    else this.#retry(message);
  }

  /**
   * @param {string} cause
   * @param {boolean} isFinal
   */
  #ended(cause, isFinal) {
    if (isFinal) return this.#stop(`${cause} ${STAYS_CLOSED}`);
    const wasOpen = this.#state === "open";
    this.#end();
    if (!this.#isFirst) this.#retry(cause);
    if (!wasOpen) void this.#explain(this.#number);
  }

  /**
   * Find out why it did not open, and whether another try may help.
   * @param {number} number
   */
  async #explain(number) {
    const failure = await explainFailure(this.address, () => this.unexplained(), this.#login);
    if (number !== this.#number) return;
    const { sentence, retryMs, isFinal } = failure;
    if (retryMs !== null) this.#retry(sentence, retryMs, true);
    else if (this.#isFirst || isFinal) this.#stop(sentence);
    else {
      this.#cause = sentence;
      this.#report();
    }
  }

  /** Return the wait until the next try. The time that a try took without an answer is part of it. */
  #nextWait() {
    const tried = this.#state === "opening" ? performance.now() - this.#startedAt : 0;
    return Math.max(FIRST_RETRY_MS / 2, this.#backoff.next() - tried);
  }

  /**
   * Wait for the next try.
   * @param {string} cause
   * @param {number} wait milliseconds
   * @param {boolean} isAsked whether the server asked for it
   */
  #retry(cause, wait = this.#nextWait(), isAsked = false) {
    const hasOpened = this.#state === "open";
    this.#end();
    this.#state = "waiting";
    this.#isFirst = false;
    this.#hasFailed = !hasOpened;
    this.#isAsked = isAsked;
    this.#cause = cause;
    this.#retryAt = performance.now() + wait;
    this.#timer = setTimeout(() => this.#try(), wait);
    this.#report();
  }

  /**
   * End for good.
   * @param {string} sentence
   */
  #stop(sentence) {
    const { refused, lost } = this.#events;
    const report = this.#isFirst ? refused : lost;
    this.disconnect();
    report(sentence);
  }

  /** Report what happens while it is not open. */
  #report() {
    if (this.#isFirst || (this.#state !== "opening" && this.#state !== "waiting")) return;
    const cause = navigator.onLine ? this.#cause : OFFLINE;
    this.#events.reconnecting(cause, this.#state === "waiting" ? this.#retryAt : null);
  }
}
