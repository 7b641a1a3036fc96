// @ts-check
/**
 * The view's connection: by WebSocket, and by SSE where that does not open or stays mute. It connects by itself, resumes
 * after an interruption, and asks for the past again where that was lost.
 * @module view/live
 */
import { Liveness } from "../connection/liveness.js";
import { isHeartbeat, parse } from "../message.js";

/** @typedef {import("../connection/transport.js").FailureKind} FailureKind */
/** @typedef {import("../connection/transport.js").Transport} Transport */
/** @typedef {import("../connection/transport.js").TransportEvents} TransportEvents */
/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("../producers.js").TransportName} TransportName */

/**
 * @typedef {object} Receiver
 * @property {(message: Message, at: number) => void} received performance.now() at which it arrived
 * @property {(sentAt: number, at: number) => void} welcomed a connection is open: the server's time, and performance.now()
 * @property {() => void} interrupted the connection broke
 * @property {() => void} rewinding the past comes again
 * @property {() => void} changed the state or its sentence changed
 */

/** Time for which a transport may be mute before the other one is tried. */
export const MUTE_MS = 30_000;
/** Wait after a refusal. */
export const REFUSED_RETRY_MS = 5_000;
/**
 * Longest wait before the past is asked for again; a part of it is random, as all views lose a log at the same moment. It
 * doubles with each loss: the log may be shorter than the way of its messages.
 */
const FIRST_REWIND_MS = 1_000;
const MAX_REWIND_MS = 60_000;
/** Time after a rewind without a loss, after which the wait is short again. */
const HEALTHY_MS = 60_000;
const TICK_MS = 500;
const LATE_TICK_MS = 2_000;

/** Failures that the other transport would share. @type {ReadonlySet<FailureKind>} */
const OF_BOTH = new Set(["silent", "hidden", "refused", "ticket"]);
const EXPIRED = "Your token has expired. Enter a new one.";
const NOT_OPENED =
  "the WebSocket did not open, but the server answers. A proxy may not forward the upgrade, or that port is closed";

/** @type {Record<TransportName, string>} */
const LABELS = { websocket: "WebSocket", sse: "SSE" };

export class Live {
  /** @type {"connecting" | "live" | "away" | "refused"} */
  state = "connecting";
  /** What happens, and why. */
  sentence = "Connecting…";
  /** @type {TransportName} */
  transport = "websocket";
  #transports;
  #receiver;
  #mayRetry;
  #liveness = new Liveness();
  /** After which a connection continues. @type {string | null} */
  #position = null;
  /** Why SSE is used; empty while WebSocket is. */
  #why = "";
  /** Whether messages were lost since the page was loaded. */
  #note = "";
  /** performance.now() since when something is waited for. */
  #waitingSince = 0;
  #tickedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #rewinding;
  #rewindMs = FIRST_REWIND_MS;
  #rewoundAt = -Infinity;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;

  /**
   * @param {Record<TransportName, (events: TransportEvents) => Transport>} transports
   * @param {Receiver} receiver
   * @param {() => boolean} mayRetry whether another try may succeed: not while a login token is missing
   */
  constructor(transports, receiver, mayRetry) {
    this.#receiver = receiver;
    this.#mayRetry = mayRetry;
    this.#transports = {
      websocket: transports.websocket(this.#eventsOf("websocket")),
      sse: transports.sse(this.#eventsOf("sse")),
    };
  }

  /** Position after which a connection that is opened anew continues. */
  get position() {
    return this.#position;
  }

  /** Connect; called once. */
  start() {
    this.#ticking = setInterval(() => this.#tick(), TICK_MS);
    this.connect("websocket", "");
  }

  /** End for good: nothing is received any more, and nothing refers to it. */
  close() {
    clearInterval(this.#ticking);
    clearTimeout(this.#retry);
    clearTimeout(this.#rewinding);
    for (const transport of Object.values(this.#transports)) transport.dispose();
  }

  /**
   * Connect, by a transport from now on.
   * @param {TransportName} name
   * @param {string} why not by WebSocket
   */
  connect(name, why) {
    clearTimeout(this.#retry);
    this.#transports[this.transport].disconnect();
    this.transport = name;
    this.#why = why;
    this.#waitingSince = performance.now();
    // A sentence that explains a failure stays until there is news.
    if (this.state === "live") this.#set("connecting", "Connecting…");
    this.state = "connecting";
    this.#transports[name].position = this.#position;
    this.#transports[name].connect();
  }

  /** Ask for the past again: more of it is to be shown. */
  rewind() {
    clearTimeout(this.#rewinding);
    this.#rewinding = undefined;
    this.#rewoundAt = performance.now();
    this.#position = this.#transports[this.transport].position = null;
    this.#receiver.rewinding();
    this.renew("Loading more of the past.");
  }

  /**
   * Connect anew, as the address is now, and continue after the last position.
   * @param {string} cause
   */
  renew(cause) {
    if (this.state === "refused") this.connect("websocket", "");
    else this.#transports[this.transport].drop(cause);
  }

  /**
   * @param {TransportName} name
   * @returns {TransportEvents}
   */
  #eventsOf(name) {
    return {
      opened: () => this.#liveness.opened(performance.now()),
      message: (data, at) => this.#receive(data, at),
      reconnecting: (cause) => this.#away(cause),
      refused: (sentence, kind) => this.#refused(name, sentence, kind),
      lost: (sentence, kind) => this.#refused(name, sentence, kind),
    };
  }

  /**
   * @param {unknown} data
   * @param {number} at performance.now()
   */
  #receive(data, at) {
    const message = parse(data);
    if (message === null) return;
    const isBeat = isHeartbeat(message);
    this.#liveness.heard(at, isBeat);
    if (this.state !== "live") this.#set("live", this.#liveSentence);
    if (isBeat) return;
    if (message.id !== null) this.#position = this.#transports[this.transport].position = message.id;
    if (message.client !== null) return this.#receiver.welcomed(message.sentAt, at);
    if (message.lost) return this.#lost();
    this.#receiver.received(message, at);
  }

  get #liveSentence() {
    const why = this.#why === "" ? "" : `: ${this.#why}`;
    return [`Live over ${LABELS[this.transport]}${why}.`.replace(/\.\.$/, "."), this.#note].join(" ").trim();
  }

  #lost() {
    this.#note = "Some messages were lost while this page was away; what the server still has is shown.";
    this.#set("live", this.#liveSentence);
    if (this.#rewinding !== undefined) return;
    const isHealthy = performance.now() - this.#rewoundAt > HEALTHY_MS;
    this.#rewindMs = isHealthy ? FIRST_REWIND_MS : Math.min(2 * this.#rewindMs, MAX_REWIND_MS);
    this.#rewinding = setTimeout(() => this.rewind(), this.#rewindMs * (0.5 + Math.random() / 2));
  }

  /** @param {string} cause */
  #away(cause) {
    if (this.state === "live") {
      this.#receiver.interrupted();
      this.#waitingSince = performance.now();
    }
    this.#set("away", `Not live: ${cause} It reconnects by itself.`);
  }

  /**
   * A transport did not open, or ended for good.
   * @param {TransportName} name
   * @param {string} cause
   * @param {FailureKind} kind
   */
  #refused(name, cause, kind) {
    if (kind === "expired") return this.#set("refused", EXPIRED);
    if (this.state === "live") this.#receiver.interrupted();
    if (name === "websocket" && !OF_BOTH.has(kind)) return this.connect("sse", kind === "notOpened" ? NOT_OPENED : cause);
    if (!this.#mayRetry()) return this.#set("refused", `Not live: ${cause}`);
    this.#set("refused", `Not live: ${cause} It tries again every ${REFUSED_RETRY_MS / 1000} s.`);
    this.#retry = setTimeout(() => this.connect("websocket", ""), REFUSED_RETRY_MS * (0.75 + Math.random() / 2));
  }

  #tick() {
    const now = performance.now();
    if (this.state === "live" && this.#liveness.check(now) === "dead") {
      this.#transports[this.transport].drop("Nothing arrives, not even a heartbeat.");
    }
    // The page slept, or its timers were slowed down: this proves nothing.
    if (now - this.#tickedAt > LATE_TICK_MS) this.#waitingSince = now;
    this.#tickedAt = now;
    if (this.state === "live" || this.state === "refused" || now - this.#waitingSince < MUTE_MS) return;
    const seconds = MUTE_MS / 1000;
    if (this.transport === "sse") this.connect("websocket", "");
    else this.connect("sse", `nothing arrived over the WebSocket for ${seconds} s`);
  }

  /**
   * @param {Live["state"]} state
   * @param {string} sentence
   */
  #set(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.#receiver.changed();
  }
}
