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
import { Ledger } from "./client/ledger.js";
import { NOT_OPENED, OPENERS, answers, failure, post, refusal, silent } from "./client/link.js";
import { Backoff, MAX_RETRY_MS } from "./client/backoff.js";
import { HEARTBEAT_S, Liveness } from "./client/liveness.js";
import { watchPage } from "./client/wake.js";
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
 * @property {Renewable} [ticket] returns a new login ticket; called for each connection. If it rejects, it is called again
 *   later, unless the error has `isFinal`
 * @property {Record<string, string>} [headers] of each request; then auto is SSE, as a browser's WebSocket has none
 * @property {boolean} [waitForServer] try again also where the first connection fails, unless the server refuses it
 * @property {(message: Message, stream: Stream) => void} onMessage
 * @property {(stream: Stream) => void} [onState] called after each change of the state or its sentence
 * @property {(stream: Stream) => void} [onRewind] called as the past is asked for again, and will follow
 */

/** Time for one try to open a connection. */
const ATTEMPT_MS = 10_000;
/** Time for the first message of a connection to rtdemo, which comes at once. */
const MUTE_MS = 30_000;
/** Longest wait that a server may ask for. */
const MAX_ASKED_MS = 300_000;
/** A try that began just before an event that calls for one is as good. */
const RECENT_MS = 1_000;
/**
 * Longest wait before the past is asked for again after a loss; it doubles up to a minute, as the log may be shorter than
 * the way of its messages. Half of it is random, as all pages lose a log at the same moment.
 */
const FIRST_REWIND_MS = 1_000;
const MAX_REWIND_MS = 60_000;
/** Time without a loss after which that wait is short again. */
const HEALTHY_MS = 60_000;
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
  #rewinds = new Backoff(FIRST_REWIND_MS, MAX_REWIND_MS);
  #liveness = new Liveness(MUTE_MS);
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
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #rewinding;
  #rewoundAt = -Infinity;
  /** Positions after the newest loss, and before the past came again: the page has what is between. @type {(string | null)[]} */
  #known = [];
  #isOpen = false;
  #hasOpened = false;
  /** Whether nothing answered the last try. */
  #isAway = false;
  /** Whether the server asked for this wait. */
  #isAsked = false;

  /** @param {Options} options */
  constructor(options) {
    const { url = "./", transport = "auto", headers } = options;
    this.#options = options;
    this.#server = serverAt(new URL(url, document.baseURI));
    this.#credentials = new Credentials(options, this.#server.base);
    // Only an event stream can find out why a WebSocket did not open: a browser does not report it.
    /** @type {TransportName[]} */
    const wanted = transport === "sse" || (transport === "auto" && headers) ? ["sse"] : ["websocket", "sse"];
    const [first, last] = wanted.filter((name) => this.#server.streams[name]);
    if (!first || ![first, "auto"].includes(transport)) throw new TypeError(`${url} has no ${transport} stream`);
    this.#choice = new TransportChoice(first, last);
    this.position = options.after || null;
    this.#ticks = setInterval(() => this.#tick(), TICK_MS);
    const restored = () => this.#drop("The browser closed the connection.");
    this.#unwatch = watchPage(() => this.#hurry(), restored);
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
   * Receive other producers from now on, after the last message.
   * @param {string[]} [producers] all by default
   */
  select(producers) {
    // Their numbers advance while they are not selected.
    this.#ledger.forget(true);
    this.#change({ producers });
  }

  /**
   * Ask for the past again. After a loss this happens by itself.
   * @param {string} [rewind] another past than before
   */
  rewind(rewind = this.#options.rewind) {
    this.#rewind({ rewind });
  }

  /** @param {Partial<Options>} [options] */
  #rewind(options) {
    clearTimeout(this.#rewinding);
    this.#rewinding = undefined;
    this.#rewoundAt = performance.now();
    this.position = null;
    this.#ledger.forget(true);
    this.#call(() => this.#options.onRewind?.(this));
    this.#change(options);
  }

  /** @param {Partial<Options>} [options] of the next connection, which replaces this one */
  #change(options) {
    // Of another choice, the page does not have all that is between.
    if (options) this.#known = [];
    this.#options = { ...this.#options, ...options };
    if (this.#triedAt < 0) return;
    this.#reset();
    // More of them may change.
    this.#timer = setTimeout(() => this.#try());
    // Last: the page may close it now.
    if (this.state === "open") this.#set("connecting", "Connecting.");
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
    this.#isOpen = false;
    this.#triedAt = -Infinity;
  }

  async #try() {
    this.#reset();
    const number = this.#number;
    const isCurrent = () => number === this.#number;
    this.#triedAt = performance.now();
    this.#liveness.opened(this.#triedAt);
    this.#timer = setTimeout(() => this.#late(), ATTEMPT_MS);
    const { position, transport } = this;
    const { base, streams } = this.#server;
    const { producers, latest, rewind } = this.#options;
    const query = { producers, latest: latest ? 1 : null, rewind, heartbeat: base && HEARTBEAT_S, last_event_id: position };
    const url = new URL(streams[transport] ?? "");
    for (const [key, value] of Object.entries(query)) if (value != null) url.searchParams.set(key, `${value}`);
    const refused = await this.#admit(url);
    if (!isCurrent()) return;
    if (refused !== null) return this.#ended(refused);
    const headers = { ...this.#credentials.headers };
    // Another origin would have to allow the header, which takes only such characters.
    if (position && url.origin === location.origin && /^[ -~]+$/.test(position)) headers["Last-Event-ID"] = position;
    try {
      this.#connection = OPENERS[transport](url.href, headers, {
        isRtdemo: base !== null,
        opened: () => isCurrent() && this.#opened(),
        received: (text, id) => isCurrent() && this.#received(text, id),
        ended: (why) => isCurrent() && this.#ended(why),
      });
    } catch (error) {
      this.#ended(failure("no stream", `The browser does not open it: ${error}`));
    }
  }

  #late() {
    // Where one has opened before, the network may be away. Then the next WebSocket waits until the server answers.
    const kind = this.#connection && (this.#isAway || !this.#hasOpened) ? "no stream" : "unreachable";
    this.#ended(failure(kind, `No answer in ${ATTEMPT_MS / 1000} s.`));
  }

  /**
   * @param {URL} url
   * @returns {Promise<Failure | null>} why it is not opened
   */
  async #admit(url) {
    const { base } = this.#server;
    // Browsers make a WebSocket wait, longer after each that did not open.
    const waits = this.#isAway && base !== null && this.transport === "websocket";
    if (waits && !(await answers(new URL("healthz", base)))) return silent();
    return this.#credentials.admit(url).catch((error) => {
      const { message = error, isFinal } = Object(error);
      return failure(isFinal ? "login" : "unreachable", `No login: ${message}`, isFinal);
    });
  }

  #opened() {
    // It is known now that the server answers.
    if (this.#choice.whyNotFirst === NOT_OPENED) this.#choice.whyNotFirst += " A proxy may not forward the upgrade.";
    const isQuestion = this.#options.transport === "websocket" && this.transport === "sse";
    if (isQuestion) return this.#ended(failure("no stream", this.reason));
    clearTimeout(this.#timer);
    this.#isOpen = this.#hasOpened = true;
    this.#ledger.forget(false);
    this.#setOpen();
  }

  #setOpen() {
    const lost = this.#ledger.reported > 0 ? "Some messages were lost." : "";
    this.#set("open", [`Open over ${LABELS[this.transport]}.`, this.reason, lost].filter(Boolean).join(" "));
  }

  /**
   * @param {string} text
   * @param {string} [id] last event id, if it changed
   */
  #received(text, id) {
    const parsed = parse(text);
    const isBeat = parsed !== null && isHeartbeat(parsed);
    this.#liveness.heard(performance.now(), isBeat);
    this.#choice.worked();
    this.position = (parsed?.id ?? id ?? this.position) || null;
    // A position alone is news for this client, and not for its page.
    if (isBeat) return;
    if (parsed?.producer === "rtdemo" && parsed.id !== null) return this.#ledger.enter({ ...parsed, id: null });
    const message = { ...OTHER, message: text, ...parsed, text, isReadable: parsed !== null };
    this.#ledger.enter(message);
    if (message.lost) return this.#lost();
    if (message.client !== null) {
      this.welcome = message;
      return this.#set(this.state, this.sentence);
    }
    if (this.#has(message.id)) return;
    this.#counts.received += 1;
    if (!message.isReadable) this.#counts.unreadable += 1;
    this.#call(() => this.#options.onMessage(message, this));
  }

  #lost() {
    this.#known = [this.position];
    const { latest, rewind } = this.#options;
    if (this.#rewinding === undefined && (latest || rewind)) {
      if (performance.now() - this.#rewoundAt > HEALTHY_MS) this.#rewinds.reset();
      this.#rewinding = setTimeout(() => {
        this.#known.push(this.position);
        this.#rewind();
      }, this.#rewinds.next());
    }
    // Last: the page may close it now, or ask for the past itself.
    this.#setOpen();
  }

  /**
   * Return whether the page has the message at a position. What `latest` sends may be older than a loss: its position has
   * a second part, `7.3`, and is never known.
   * @param {string | null} position
   */
  #has(position) {
    const [[log, offset], after, until] = [position, ...this.#known].map((each) => `${each}`.split("-"));
    return log === after?.[0] && Number(offset) > Number(after[1]) && Number(offset) <= Number(until?.[1]) && !offset?.includes(".");
  }

  /**
   * The connection ended, or did not open.
   * @param {Failure} why
   */
  #ended(why) {
    const hadMessages = this.#liveness.hasHeard;
    // One that ends soon after its welcome is one more failure.
    if (hadMessages && performance.now() - this.#triedAt > MAX_RETRY_MS) this.#backoff.reset();
    const { kind, sentence, askedMs, isFinal } = why;
    const isOnly = this.#options.transport === "websocket";
    // A refusal by a proxy that forwards only the other transport says nothing about the server.
    const canHeal =
      kind === "login" ? hadMessages && this.#credentials.canRenew : !isOnly && this.#choice.onlyOtherWorked;
    const isFirst = !this.#hasOpened && askedMs === null && !this.#options.waitForServer;
    // Only of one that did not open, the reason is not known.
    const switches = this.#choice.ended(why, hadMessages || (isOnly && kind !== "no stream"));
    this.#isAway = kind === "unreachable";
    this.#reset();
    if (!canHeal && !switches && (isFinal || isFirst)) {
      this.error = kind;
      return this.#stop("failed", sentence);
    }
    const asked = Math.min(askedMs ?? 0, MAX_ASKED_MS) * (1 + Math.random() / 2);
    const wait = switches ? 0 : Math.max(this.#backoff.next(), asked);
    const next = switches ? LABELS[this.transport] : `again in ${(wait / 1000).toFixed(1)} s`;
    this.#isAsked = askedMs !== null;
    this.#timer = setTimeout(() => this.#try(), wait);
    this.#set("reconnecting", `${sentence} Trying ${next}.`);
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
    if (this.#server.base === null || this.#liveness.check(now) !== "dead") return;
    const mute = `Nothing arrived over ${LABELS[this.transport]} for ${MUTE_MS / 1000} s.`;
    this.#drop(this.#liveness.hasHeard ? "Nothing arrives, not even a heartbeat." : mute);
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #stop(state, sentence) {
    this.#reset();
    clearTimeout(this.#rewinding);
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
