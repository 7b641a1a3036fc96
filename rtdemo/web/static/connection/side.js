// @ts-check
/**
 * One side of the page: its connection state, measurement and last messages. A panel shows it; it never touches the DOM.
 * @module connection/side
 */
import { clip, oneLine } from "../format.js";
import { Measurement } from "../measure/measurement.js";
import { parse } from "../message.js";
import { isPositionUpdate, sameProducers } from "./selection.js";
import { Sender } from "./sending.js";
import { StallDetector } from "./stall.js";
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
export const ACTIVE_STATES = new Set(["connecting", "connected", "stalled", "reconnecting"]);

/** States in which the connection can send. @type {ReadonlySet<State>} */
export const OPEN_STATES = new Set(["connected", "stalled"]);

/** Number of messages that are kept and shown. */
export const MAX_RECENT_MESSAGES = 10;

/** A connect or reconnect that takes longer gets a hint. */
const SLOW_CONNECT_MS = 5_000;
const TICK_MS = 1_000;

export class RecentMessages {
  /** @type {Message[]} newest first */
  messages = [];

  /** @param {Message} message */
  add(message) {
    this.messages.unshift(message);
    if (this.messages.length > MAX_RECENT_MESSAGES) this.messages.pop();
  }

  clear() {
    this.messages = [];
  }
}

export class Side {
  /** @type {State} */
  state = "idle";
  /** The status sentence: what happens, and what to do. */
  sentence;
  /** Whether the sentence reports an error that did not change the state. */
  alert = false;
  recent = new RecentMessages();
  /** @type {string | null} */
  client = null;
  /** performance.now() since when nothing worked; null while it works. @type {number | null} */
  downSince = null;
  /** performance.now() of the next try; null if none is planned. @type {number | null} */
  retryAt = null;
  #changed;
  #stall = new StallDetector();
  #transport;
  #since = 0;
  #lastMessageAt = 0;
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
      reconnecting: (why, next) => this.#reconnecting(why, next),
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

  connect() {
    if (this.active) return;
    this.sender.error = "";
    this.#transport.position = null;
    this.ledger.forgetShared();
    this.selection.connecting();
    this.#since = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#setState("connecting", `Waiting for ${this.#transport.address} to answer.`);
    this.#transport.connect();
  }

  disconnect() {
    if (!this.active) return;
    this.#transport.disconnect();
    this.#end("disconnected", "You closed it. Connect opens it again.");
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
    if (!sameProducers(selection, this.selection.chosen)) this.ledger.forgetShared();
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
    this.#stall.setProducers(producers, transport);
    this.ledger.shared = new Set(producers.filter(({ shared }) => shared).map(({ name }) => name));
  }

  #sendSelection() {
    if (this.open) void this.sender.sendSelection();
  }

  get #invitation() {
    return `Connect opens ${this.#transport.address}`;
  }

  #opened() {
    const now = performance.now();
    const reconnected = this.state === "reconnecting";
    this.measurement.opened(now, reconnected ? null : now - this.#since);
    this.#lastMessageAt = now;
    this.selection.opened();
    const gap = `Reconnected after ${((now - this.#since) / 1000).toFixed(1)} s.`;
    this.#setState("connected", reconnected ? gap : "Messages arrive as they are produced.");
  }

  /**
   * @param {unknown} data
   * @param {number} at performance.now()
   */
  #receive(data, at) {
    this.#lastMessageAt = at;
    if (this.state === "stalled") this.#setState("connected", "Messages arrive again.");
    const message = parse(data);
    if (message === null) {
      this.measurement.stats.unreadable += 1;
      const start = typeof data === "string" ? `It begins “${clip(oneLine(data), 40)}”.` : "It is not text.";
      this.alert = true;
      this.sentence = `A message could not be read and was left out. ${start}`;
    } else {
      this.#take(message, at, utf8Length(String(data)));
    }
    this.#changed();
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
   * @param {string} why
   * @param {string} next
   */
  #reconnecting(why, next) {
    const now = performance.now();
    const first = this.state !== "reconnecting";
    if (first) this.#since = now;
    this.measurement.interrupted(now);
    const cut = first && this.measurement.faults.kind === "cut";
    this.client = null;
    this.sender.roundTrips.end();
    this.#setState("reconnecting", `${cut ? "You cut it." : why} ${next}`.trim());
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
    this.#setState(state, sentence);
  }

  #tick() {
    const now = performance.now();
    if (now - this.#since > SLOW_CONNECT_MS) this.#showHint();
    const { chosen } = this.selection;
    if (this.state === "connected" && now - this.#lastMessageAt > this.#stall.timeout(chosen)) {
      this.#setState("stalled", this.#stall.sentence(chosen, this.#transport.stallHint));
    }
    const expired = [this.sender.roundTrips.expire(now), this.measurement.faults.expire(now)];
    if (expired.includes(true)) this.#changed();
  }

  /** Explain a slow connect or reconnect. */
  #showHint() {
    if (this.state === "connecting") this.#setState("connecting", this.#transport.connectHint());
    if (this.state === "reconnecting") this.#setState("reconnecting", this.#transport.reconnectHint() ?? this.sentence);
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #setState(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.alert = false;
    this.#changed(true);
  }
}
