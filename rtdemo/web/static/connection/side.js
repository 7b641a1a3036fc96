// @ts-check
/**
 * One side of the page: its connection state, measurement and last messages. A panel shows it; it never touches the DOM.
 * @module connection/side
 */
import { clip, oneLine } from "../format.js";
import { Measurement } from "../measure/measurement.js";
import { isHeartbeat, parse } from "../message.js";
import { PathWatch } from "./path_watch.js";
import { RecentMessages } from "./recent.js";
import { isPositionUpdate, sameProducers } from "./selection.js";
import { Sender } from "./sending.js";
import { ARRIVES, ARRIVES_AGAIN, CUT, NOTHING_ARRIVES } from "./sentences.js";
import { faultSentence, reconnectedSentence, retrySentence } from "./sentences.js";
import { utf8Length } from "./wire_size.js";

/** @typedef {import("../measure/faults.js").Fault} Fault */
/** @typedef {import("../measure/measurement.js").Environment} Environment */
/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./selection.js").SelectionSync} SelectionSync */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

/** @typedef {"idle" | "connecting" | "connected" | "stalled" | "reconnecting" | "refused" | "lost" | "disconnected"} State */

/** States that Disconnect ends. @type {ReadonlySet<State>} */
const ACTIVE_STATES = new Set(["connecting", "connected", "stalled", "reconnecting"]);

/** States in which the connection can send. @type {ReadonlySet<State>} */
const OPEN_STATES = new Set(["connected", "stalled"]);

/** A connect or reconnect that takes longer gets a hint. */
const SLOW_CONNECT_MS = 5_000;
const TICK_MS = 500;

export class Side {
  /** @type {State} */
  state = "idle";
  /** The status sentence: what happens, and what to do. */
  sentence;
  /** Whether the sentence reports an error that did not change the state. */
  alert = false;
  /** Why the connection does not work; empty while it does. */
  cause = "";
  /** @type {number | null} performance.now() since when nothing has worked; null while it works, or is not wanted */
  downSince = null;
  /** @type {number | null} performance.now() of the next try; null if there is none, or one is being made */
  retryAt = null;
  recent = new RecentMessages();
  /** @type {string | null} */
  client = null;
  #changed;
  #path = new PathWatch();
  #transport;
  #since = 0;
  /** Whether it has been open since Connect. */
  #hasOpened = false;
  /** Whether the sentence is about silent producers. */
  #isSilent = false;
  /** The cause that the transport reports for a cut by the reader. @type {string | null} */
  #cutCause = null;
  /** The sentence about the fault that is shown. @type {string | null} */
  #faultSentence = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /**
   * @param {(events: TransportEvents) => Transport} transport
   * @param {Environment} environment clock and page visibility
   * @param {SelectionSync} selection
   * @param {(soon?: boolean) => void} changed called after a change that a panel shows; soon for a new state
   */
  constructor(transport, environment, selection, changed) {
    this.measurement = new Measurement(environment);
    this.selection = selection;
    this.#changed = changed;
    this.#transport = transport({
      opened: () => this.#opened(),
      message: (data, at) => this.#receive(data, at),
      reconnecting: (cause, retryAt) => this.#reconnecting(cause, retryAt),
      refused: (sentence) => this.#end("refused", sentence),
      lost: (sentence) => this.#end("lost", sentence),
    });
    this.sender = new Sender((text) => this.#transport.send(text, this.client), selection, changed);
    this.sentence = this.#invitation;
  }

  get active() {
    return ACTIVE_STATES.has(this.state);
  }

  get open() {
    return OPEN_STATES.has(this.state);
  }

  get ledger() {
    return this.measurement.stats.ledger;
  }

  /** Position of the last shared message, after which another connection can resume. @returns {string | null} */
  get position() {
    return this.#transport.position ?? this.selection.resumeAfter;
  }

  /**
   * Connect.
   * @param {string | null} [position] of an earlier page's connection that this one continues; null for none
   */
  connect(position = null) {
    if (this.active) return;
    this.sender.error = "";
    this.#transport.position = null;
    this.selection.resumeAfter = position;
    if (position === null) this.ledger.forget(true);
    this.selection.connecting();
    this.#since = performance.now();
    this.#hasOpened = false;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#setState("connecting", `Waiting for ${this.#transport.address} to answer.`);
    this.#transport.connect();
  }

  disconnect() {
    if (!this.active) return;
    this.#transport.disconnect();
    this.#end("disconnected", "You closed it. Connect opens it again.");
  }

  /** Forget why it did not connect, or closed: the reader has entered a login token. */
  dismissRefusal() {
    if (this.state === "refused" || this.state === "lost") this.#setState("idle", this.#invitation);
  }

  /** Whether the reader can do something about a connection that does not work. */
  get canRetry() {
    return this.retryAt !== null || this.state === "stalled";
  }

  /** Try now: if the next try of a reconnect is later, or by a new connection if nothing arrives. */
  retryNow() {
    if (this.state === "stalled") this.#transport.drop(NOTHING_ARRIVES);
    else if (this.retryAt !== null) this.#transport.hurry();
  }

  /** Clear figures and messages; the connection stays open. */
  reset() {
    this.measurement.reset(performance.now());
    this.recent.clear();
    this.sender.reset();
    this.#changed();
  }

  /**
   * Inject a fault into this connection, or end a delay.
   * @param {Fault} kind
   */
  injectFault(kind) {
    if (!this.open) return;
    const { faults } = this.measurement;
    const text = faults.request(kind, performance.now());
    void this.sender.sendControl(text, (sentence) => faults.requestFailed(sentence));
    this.#changed();
  }

  /**
   * Choose what this side receives, now and at every later connect.
   * @param {Selection} selection
   */
  choose(selection) {
    if (!sameProducers(selection, this.selection.chosen)) this.ledger.forget(true);
    this.selection.choose(selection);
    if (this.state === "idle") this.sentence = this.#invitation;
    this.#sendSelection();
    this.#changed();
  }

  /**
   * Set the producers that the server offers.
   * @param {Producer[]} producers
   * @param {TransportName} transport of this side
   */
  setProducers(producers, transport) {
    this.#path.setProducers(producers, transport);
  }

  #sendSelection() {
    if (this.open) void this.sender.sendSelection();
  }

  get #invitation() {
    return `Connect opens ${this.#transport.address}`;
  }

  #opened() {
    const now = performance.now();
    // The first one may have been refused until the server had room.
    const since = this.#hasOpened ? this.downSince : null;
    this.measurement.opened(now, this.#hasOpened ? null : now - this.#since);
    this.#hasOpened = true;
    this.#path.opened(now);
    this.selection.opened();
    this.#works(since === null ? ARRIVES : reconnectedSentence(now - since));
  }

  /**
   * @param {unknown} data
   * @param {number} at performance.now()
   */
  #receive(data, at) {
    const message = parse(data);
    const isBeat = message !== null && isHeartbeat(message);
    this.#path.heard(at, isBeat);
    if (this.state === "stalled") {
      this.measurement.heard(at);
      this.#works(ARRIVES_AGAIN);
    }
    if (isBeat) {
      // It may be the first sign that a fault has ended.
      this.measurement.faults.affects(message, at);
    } else {
      if (this.#isSilent) this.#say(ARRIVES);
      if (message === null) this.#unreadable(data);
      else this.#take(message, at, utf8Length(String(data)));
    }
    this.#sayFault();
    this.#changed();
  }

  /** @param {unknown} data */
  #unreadable(data) {
    this.measurement.stats.unreadable += 1;
    const start = typeof data === "string" ? `It begins “${clip(oneLine(data), 40)}”.` : "It is not text.";
    this.#say(`A message could not be read and was left out. ${start}`);
    this.alert = true;
  }

  /**
   * @param {Message} message
   * @param {number} at performance.now()
   * @param {number} payload bytes
   */
  #take(message, at, payload) {
    // An answer to a control message is not counted, timed or listed. Only its number is checked.
    const answer = this.selection.answered(message) || this.measurement.faults.answered(message, at);
    if (message.id !== null) this.#transport.position = message.id;
    if (answer || isPositionUpdate(message)) return this.ledger.enter({ ...message, id: null });
    this.measurement.take(message, at, payload, this.#transport.wireBytes(payload, message.id));
    this.recent.add(message);
    this.sender.roundTrips.receive(message, at);
    if (message.client === null) return;
    this.client = message.client;
    this.#sendSelection();
  }

  /**
   * @param {string} cause
   * @param {number | null} retryAt performance.now() of the next try; null during one
   */
  #reconnecting(cause, retryAt) {
    const now = performance.now();
    const isFirst = this.state !== "reconnecting";
    this.measurement.interrupted(now);
    if (isFirst) this.#cutCause = this.measurement.faults.kind === "cut" ? cause : null;
    if (retryAt === null) this.selection.connecting();
    this.client = null;
    this.sender.roundTrips.end();
    this.downSince ??= now;
    this.retryAt = retryAt;
    this.cause = cause === this.#cutCause ? CUT : cause;
    this.#setState("reconnecting", `${this.cause} ${retrySentence(retryAt === null)}`);
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #end(state, sentence) {
    clearInterval(this.#timer);
    this.measurement.ended(performance.now());
    this.client = null;
    this.sender.roundTrips.end();
    this.cause = "";
    this.downSince = this.retryAt = null;
    this.#setState(state, sentence);
  }

  /**
   * The connection works.
   * @param {string} sentence
   */
  #works(sentence) {
    this.cause = "";
    this.downSince = this.retryAt = null;
    this.#setState("connected", sentence);
  }

  #tick() {
    const now = performance.now();
    if (now - (this.downSince ?? this.#since) > SLOW_CONNECT_MS) this.#showHint();
    if (this.open) {
      this.#checkPath(now);
      this.sender.retrySelection(now);
    }
    const expired = [this.sender.roundTrips.expire(now), this.measurement.faults.expire(now)];
    if (expired.includes(true)) this.#changed();
  }

  /** @param {number} now performance.now() */
  #checkPath(now) {
    const finding = this.#path.check(now, {
      selection: this.selection.chosen,
      faultEndsAt: this.measurement.faults.endsAt,
      stallHint: this.#transport.stallHint,
    });
    if (finding === null) return;
    const { kind, cause, sentence } = finding;
    if (kind === "silent") return this.#saySilence(sentence);
    this.downSince ??= this.#path.heardAt;
    this.measurement.silent(this.downSince);
    if (kind === "dead") return this.#transport.drop(cause);
    if (this.state === "stalled" && this.sentence === sentence) return;
    this.cause = cause;
    this.#setState("stalled", sentence);
  }

  /**
   * Explain that no producer sends anything.
   * @param {string} sentence
   */
  #saySilence(sentence) {
    if (this.state === "stalled" || sentence === this.sentence) return;
    this.#say(sentence);
    this.#isSilent = true;
    this.#changed();
  }

  /** Write what an injected fault does, and when it has ended. */
  #sayFault() {
    const sentence = faultSentence(this.measurement.faults.kind);
    if (sentence === this.#faultSentence || !this.open) return;
    this.#faultSentence = sentence;
    this.#say(sentence ?? ARRIVES);
  }

  /** Explain a slow connect or reconnect. */
  #showHint() {
    if (this.state === "connecting") this.#setState("connecting", this.#transport.connectHint());
    const hint = this.state === "reconnecting" ? this.#transport.reconnectHint() : null;
    if (hint !== null) this.#setState("reconnecting", (this.cause = hint));
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #setState(state, sentence) {
    this.state = state;
    this.#say(sentence);
    this.#changed(true);
  }

  /**
   * Change the sentence, and not the state.
   * @param {string} sentence
   */
  #say(sentence) {
    this.sentence = sentence;
    this.alert = false;
    this.#isSilent = false;
  }
}
