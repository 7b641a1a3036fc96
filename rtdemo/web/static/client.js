// @ts-check
/**
 * Receive the messages of an rtdemo server in any page: over WebSocket or SSE, across lost connections.
 *
 *     import { connect } from "https://HOST/static/client.js";
 *     const stream = connect({ url: "https://HOST/", producers: ["loss"], onMessage: ({ value }) => console.log(value) });
 *
 * docs/clients.md describes it.
 * @module client
 */
import { serverAt } from "./client/address.js";
import { TransportChoice } from "./client/choice.js";
import { Credentials } from "./client/credentials.js";
import { OPENERS, failure, post, refusal } from "./client/link.js";
import { Backoff, MAX_RETRY_MS } from "./connection/backoff.js";
import { HEARTBEAT_S, Liveness } from "./connection/liveness.js";
import { watchPage } from "./connection/wake.js";
import { Ledger } from "./measure/ledger.js";
import { isHeartbeat, parse } from "./message.js";

/** @typedef {import("./client/credentials.js").Renewable} Renewable */
/** @typedef {import("./client/link.js").Connection} Connection */
/** @typedef {import("./client/link.js").ErrorKind} ErrorKind */
/** @typedef {import("./client/link.js").Failure} Failure */
/** @typedef {import("./client/link.js").TransportName} TransportName */
/** @typedef {import("./message.js").Message & { text: string, isReadable: boolean }} Message `text` as it arrived */
/** @typedef {"connecting" | "open" | "reconnecting" | "failed" | "closed"} State */

/**
 * @typedef {object} Options
 * @property {string | URL} [url] of the server, such as https://host/, or of one WebSocket or event stream of any server; by
 *   default that of the page
 * @property {"auto" | TransportName} [transport] auto: WebSocket, and SSE where that does not open or is mute
 * @property {string[]} [producers] names of the producers to receive; all by default, none for an empty list
 * @property {boolean} [latest] begin with the newest message of each shared producer
 * @property {string} [rewind] begin with the past, such as "10m"
 * @property {string | null} [after] position after which to continue, such as `stream.position` of an earlier page
 * @property {string | Renewable} [token] login token; a function is called for each connection
 * @property {Renewable} [ticket] returns a new login ticket; called for each connection
 * @property {Record<string, string>} [headers] of each request; then auto is SSE, as a browser's WebSocket has none
 * @property {boolean} [waitForServer] try again also where the first connection fails, unless the server refuses it
 * @property {(message: Message, stream: Stream) => void} onMessage
 * @property {(stream: Stream) => void} [onState] called after each change of the state or its sentence
 */

/** Time for one try to open a connection. */
const ATTEMPT_MS = 10_000;
/** Time for opening a connection to rtdemo and its first message, which comes at once. */
const MUTE_MS = 30_000;
/** Longest wait that a server may ask for. */
const MAX_ASKED_MS = 300_000;
/** A try that began just before an event that calls for one is as good. */
const RECENT_MS = 1_000;
const TICK_MS = 500;

/** @type {Record<TransportName, string>} */
const LABELS = { websocket: "WebSocket", sse: "SSE" };

/** The fields of a text of another server. */
const OTHER = /** @type {import("./message.js").Message} */ (parse('{"message":"","sentAt":0}'));

/**
 * Connect to a server. Throws if the URL is not one, or has no such transport.
 * @param {Options} options
 * @returns {Stream}
 */
export function connect(options) {
  return new Stream(options);
}

class Stream {
  /** @type {State} */
  state = "connecting";
  /** What happens, and what to do. */
  sentence = "Connecting.";
  /** Why it failed; null while it has not. @type {ErrorKind | null} */
  error = null;
  /** The welcome of this connection, with the client's id; null before it. @type {Message | null} */
  welcome = null;
  /** Position after the last message; null before the first. @type {string | null} */
  position;
  #options;
  #server;
  #credentials;
  #choice;
  #backoff = new Backoff();
  #liveness = new Liveness();
  #ledger = new Ledger();
  #counts = { received: 0, unreadable: 0 };
  /** @type {Connection | null} open, or being opened */
  #connection = null;
  /** Changes with each try and each end: what belongs to an older one no longer counts. */
  #number = 0;
  /** The next try, or the end of the time of this one. @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #ticks;
  #unwatch;
  /** performance.now() at which the try or connection that is under way began; -Infinity if none is. */
  #triedAt = -Infinity;
  #isOpen = false;
  #hasOpened = false;
  #hadMessages = false;
  /** Whether the server asked for this wait. */
  #isAsked = false;

  /** @param {Options} options */
  constructor(options) {
    const { url = "./", transport = "auto", headers } = options;
    this.#options = options;
    this.#server = serverAt(new URL(url, document.baseURI));
    this.#credentials = new Credentials(options, this.#server.base);
    /** @type {TransportName[]} */
    const both = headers === undefined ? ["websocket", "sse"] : ["sse"];
    const wanted = transport === "auto" ? both : [transport];
    const possible = wanted.filter((name) => this.#server.streams[name] !== undefined);
    if (possible.length === 0) throw new TypeError(`${url} has no ${transport} stream`);
    this.#choice = new TransportChoice(possible);
    this.position = options.after || null;
    this.#ticks = setInterval(() => this.#tick(), TICK_MS);
    const restored = () => this.#drop("The browser had closed the connection.");
    this.#unwatch = watchPage({ hurry: () => this.#hurry(), offline: () => {}, restored });
    // The caller has the stream before its first event.
    this.#timer = setTimeout(() => this.#try());
  }

  /** The transport of this connection, or of the next one. */
  get transport() {
    return this.#choice.current;
  }

  /** Why `auto` does not use WebSocket; empty if it does. */
  get reason() {
    return this.#choice.reason;
  }

  /** What was received, and what was not. */
  get ledger() {
    const { missing, repeated, late, reported: lost, unchecked } = this.#ledger;
    return { ...this.#counts, missing, repeated, late, lost, unchecked };
  }

  /** Close the connection for good. */
  close() {
    this.#stop("closed", "It is closed.");
  }

  /**
   * Ask for the past again, as after a loss.
   * @param {string} [rewind] another past than before
   */
  rewind(rewind = this.#options.rewind) {
    this.#options = { ...this.#options, rewind };
    this.position = null;
    this.#ledger.forgetShared();
    if (this.#triedAt >= 0) void this.#try();
  }

  /**
   * Send a text to the server. Replies arrive among the messages.
   * @param {string} text up to 64 KiB
   * @returns {Promise<void>} rejects with a sentence
   */
  async send(text) {
    const { base } = this.#server;
    const client = this.welcome?.client;
    const send = this.#isOpen && this.#connection?.send;
    if (send) return send(text);
    if (base === null || !client) throw new Error("Not sent: it is not connected to rtdemo.");
    const url = new URL("api/messages", base);
    url.searchParams.set("client", client);
    const response = await post(url, this.#credentials.headers, text);
    if (!response.ok) throw new Error(`Not sent. ${(await refusal(response)).sentence}`);
  }

  /** Begin anew: what is under way no longer counts. */
  #reset() {
    clearTimeout(this.#timer);
    this.#number += 1;
    this.#connection?.close();
    this.#connection = this.welcome = null;
    this.#isOpen = this.#hadMessages = false;
    this.#triedAt = -Infinity;
  }

  #try() {
    this.#reset();
    this.#triedAt = performance.now();
    const late = failure("no stream", `No answer in ${ATTEMPT_MS / 1000} s.`);
    this.#timer = setTimeout(() => this.#ended(late), ATTEMPT_MS);
    // Only an event stream can find out why a WebSocket did not open: a browser does not report it.
    const canAsk = this.#options.transport === "websocket" && this.#server.streams.sse;
    const works = () => this.#ended(failure("no stream", "The WebSocket did not open; an event stream does."));
    const ended = (/** @type {Failure} */ why) => this.#ended(why);
    const ask = () => this.#open("sse", works, ended);
    return this.#open(this.transport, () => this.#opened(), (why) => (canAsk && !this.#isOpen ? ask() : ended(why)));
  }

  /**
   * @param {TransportName} name
   * @param {() => void} opened
   * @param {(why: Failure) => void} ended
   */
  async #open(name, opened, ended) {
    const number = (this.#number += 1);
    const isCurrent = () => number === this.#number;
    const { base, streams } = this.#server;
    const { producers, latest, rewind } = this.#options;
    const query = { producers, latest: latest ? 1 : null, rewind, heartbeat: base && HEARTBEAT_S, last_event_id: this.position };
    const url = new URL(streams[name] ?? "");
    for (const [key, value] of Object.entries(query)) if (value != null) url.searchParams.set(key, `${value}`);
    const refused = await this.#credentials.admit(url).catch((error) => failure("unreachable", `${error}`));
    if (!isCurrent()) return;
    if (refused !== null) return this.#ended(refused);
    const headers = { ...this.#credentials.headers };
    // Another origin would have to allow the header, which takes only such characters.
    const id = this.position ?? "";
    if (url.origin === location.origin && /^[ -~]+$/.test(id)) headers["Last-Event-ID"] = id;
    try {
      this.#connection = OPENERS[name](url.href, headers, {
        isRtdemo: base !== null,
        opened: () => isCurrent() && opened(),
        received: (text, id) => isCurrent() && this.#received(text, id),
        ended: (why) => isCurrent() && ended(why),
      });
    } catch (error) {
      this.#ended(failure("no stream", `The browser does not open it: ${error}.`));
    }
  }

  #opened() {
    const now = performance.now();
    clearTimeout(this.#timer);
    this.#isOpen = this.#hasOpened = true;
    this.#liveness.opened(now);
    this.#ledger.forgetPrivate();
    this.#set("open", `Open over ${LABELS[this.transport]}. ${this.reason}`.trim());
  }

  /**
   * @param {string} text
   * @param {string} [id] last event id, if it changed
   */
  #received(text, id) {
    const parsed = parse(text);
    const isBeat = parsed !== null && isHeartbeat(parsed);
    this.#liveness.heard(performance.now(), isBeat);
    this.#hadMessages = true;
    this.#choice.worked();
    this.position = (parsed?.id ?? id ?? this.position) || null;
    // A position alone is news for this client, and not for its page.
    if (isBeat || (parsed?.producer === "rtdemo" && parsed.id !== null)) return;
    const message = { ...OTHER, message: text, ...parsed, text, isReadable: parsed !== null };
    this.#ledger.enter(message);
    if (message.client !== null) {
      this.welcome = message;
      return this.#set(this.state, this.sentence);
    }
    this.#counts.received += 1;
    if (!message.isReadable) this.#counts.unreadable += 1;
    this.#call(() => this.#options.onMessage(message, this));
  }

  /**
   * The connection ended, or did not open.
   * @param {Failure} why
   */
  #ended(why) {
    // One that ends soon after its welcome is one more failure.
    if (this.#hadMessages && performance.now() - this.#triedAt > MAX_RETRY_MS) this.#backoff.reset();
    const { kind, sentence, askedMs } = why;
    // A refusal by a proxy that forwards only the other transport says nothing about the server.
    const canHeal = kind === "login" ? this.#hadMessages && this.#credentials.canRenew : this.#choice.onlyOtherWorked;
    const isFirst = !this.#hasOpened && askedMs === null && !this.#options.waitForServer;
    const isLast = !canHeal && (why.isFinal || isFirst);
    const switches = this.#choice.ended(why, this.#hadMessages);
    this.#reset();
    if (switches) {
      this.#set("reconnecting", `${sentence} Trying ${LABELS[this.transport]}.`);
      return void this.#try();
    }
    if (isLast) {
      this.error = kind;
      return this.#stop("failed", sentence);
    }
    const wait = Math.max(this.#backoff.next(), Math.min(askedMs ?? 0, MAX_ASKED_MS) * (1 + Math.random() / 2));
    this.#isAsked = askedMs !== null;
    this.#timer = setTimeout(() => this.#try(), wait);
    this.#set("reconnecting", `${sentence} Trying again in ${(wait / 1000).toFixed(1)} s.`);
  }

  /** Try now instead of later: the network or the page is back. A try that began long ago may wait for the old network. */
  #hurry() {
    const isRecent = performance.now() - this.#triedAt < RECENT_MS;
    if (this.state !== "reconnecting" || isRecent || this.#isAsked) return;
    this.#backoff.reset();
    void this.#try();
  }

  /** @param {string} sentence why the connection is of no use */
  #drop(sentence) {
    if (this.#isOpen) this.#ended(failure("no stream", sentence));
  }

  #tick() {
    const now = performance.now();
    if (this.#server.base === null) return;
    const isMute = !this.#hadMessages && now - this.#triedAt > MUTE_MS;
    if (this.#liveness.check(now) === "dead" || isMute) this.#drop("Nothing arrives, not even a heartbeat.");
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #stop(state, sentence) {
    this.#reset();
    clearInterval(this.#ticks);
    this.#unwatch();
    this.#set(state, sentence);
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #set(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.#call(() => this.#options.onState?.(this));
  }

  /** @param {() => void} callback of the page; its errors are its own */
  #call(callback) {
    try {
      callback();
    } catch (error) {
      reportError(error);
    }
  }
}
