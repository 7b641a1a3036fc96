// @ts-check
/**
 * One side: its state, figures and last messages. Knows no page; a panel shows it.
 * @module connection/side
 */
import { clip, oneLine } from "../format.js";
import { parse } from "../message.js";
import { sameProducers, tellsPosition } from "./selection.js";
import { Speech } from "./sending.js";
import { Silence } from "./stall.js";
import { utf8Length } from "./wire_size.js";
import { Measuring } from "../measure/measurement.js";

/** @typedef {import("../measure/faults.js").Break} Break */
/** @typedef {import("../measure/measurement.js").Reader} Reader */
/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("./selection.js").Control} Control */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */

/** @typedef {"idle" | "connecting" | "connected" | "stalled" | "reconnecting"} Going */
/** @typedef {Going | "refused" | "lost" | "disconnected"} State */

/** Those that Disconnect ends. @type {ReadonlySet<State>} */
export const ACTIVE = new Set(["connecting", "connected", "stalled", "reconnecting"]);

/** Those in which the connection can be spoken over. @type {ReadonlySet<State>} */
export const OPEN = new Set(["connected", "stalled"]);

/** Messages kept and shown. */
export const KEPT = 10;

export class Recent {
  /** @type {Message[]} newest first */
  messages = [];

  /** @param {Message} message */
  add(message) {
    this.messages.unshift(message);
    if (this.messages.length > KEPT) this.messages.pop();
  }

  clear() {
    this.messages = [];
  }
}

const SLOW_MS = 5_000;
const TICK_MS = 1_000;

export class Side {
  /** @type {State} */
  state = "idle";
  sentence;
  /** Whether the sentence is about a fault that did not change the state. */
  fault = false;
  recent = new Recent();
  /** @type {string | null} */
  client = null;
  #changed;
  #silence = new Silence();
  #transport;
  #since = 0;
  #heard = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /**
   * @param {(events: TransportEvents) => Transport} transport
   * @param {Reader} reader what it measures by
   * @param {Control} control what it receives
   * @param {(soon?: boolean) => void} changed called after whatever a panel shows may have changed; soon for a new state
   */
  constructor(transport, reader, control, changed) {
    this.measuring = new Measuring(reader);
    this.control = control;
    this.#changed = changed;
    this.#transport = transport({
      opened: () => this.#opened(),
      message: (data, at) => this.#message(data, at),
      reconnecting: (why, next) => this.#broke(why, next),
      refused: (sentence) => this.#end("refused", sentence),
      lost: (sentence) => this.#end("lost", sentence),
    });
    this.speech = new Speech((text) => this.#transport.send(text, this.client), control, changed);
    this.sentence = this.#invitation;
  }

  get active() {
    return ACTIVE.has(this.state);
  }

  get open() {
    return OPEN.has(this.state);
  }

  get ledger() {
    return this.measuring.stats.ledger;
  }

  connect() {
    if (this.active) return;
    this.speech.sending = "";
    this.#transport.position = null;
    this.ledger.resume();
    this.control.dialled();
    this.#since = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#become("connecting", `Waiting for ${this.#transport.address} to answer.`);
    this.#transport.connect();
  }

  disconnect() {
    if (!this.active) return;
    this.#transport.disconnect();
    this.#end("disconnected", "You closed it. Connect opens it again.");
  }

  /** Clear figures and messages; the connection goes on. */
  reset() {
    this.measuring.reset(performance.now());
    this.recent.clear();
    this.speech.reset();
    this.#changed();
  }

  /**
   * Break this connection for a try, or let a delayed one go on.
   * @param {Break} kind
   */
  break(kind) {
    if (!this.open) return;
    const { breaks } = this.measuring;
    const text = breaks.press(kind, performance.now());
    void this.speech.ask(text, (sentence) => breaks.failed(sentence));
    this.#changed();
  }

  /**
   * Choose what this side receives: at once where it is connected, and at every connect from now on.
   * @param {Selection} selection
   */
  choose(selection) {
    if (!sameProducers(selection, this.control.chosen)) this.ledger.resume();
    this.control.choose(selection);
    if (this.state === "idle") this.sentence = this.#invitation;
    this.#tell();
    this.#changed();
  }

  /**
   * Learn which producers there are.
   * @param {Producer[]} producers
   * @param {import("../producers.js").TransportName} name of this side
   */
  learn(producers, name) {
    this.#silence.learn(producers, name);
    this.ledger.shared = new Set(producers.filter(({ shared }) => shared).map(({ name }) => name));
  }

  #tell() {
    if (this.open) void this.speech.tell();
  }

  get #invitation() {
    return `Connect opens ${this.#transport.address}`;
  }

  #opened() {
    const now = performance.now();
    const back = this.state === "reconnecting";
    this.measuring.opened(now, back ? null : now - this.#since);
    this.#heard = now;
    this.control.opened();
    const away = `Back after ${((now - this.#since) / 1000).toFixed(1)} s.`;
    this.#become("connected", back ? away : "Messages arrive as they are made.");
  }

  /**
   * @param {unknown} data
   * @param {number} at
   */
  #message(data, at) {
    this.#heard = at;
    if (this.state === "stalled") this.#become("connected", "Messages arrive again.");
    const message = parse(data);
    if (message === null) {
      this.measuring.stats.unreadable += 1;
      const start = typeof data === "string" ? `It begins “${clip(oneLine(data), 40)}”.` : "It is not text.";
      this.fault = true;
      this.sentence = `A message could not be read and was left out. ${start}`;
    } else {
      this.#keep(message, at, utf8Length(String(data)));
    }
    this.#changed();
  }

  /**
   * @param {Message} message
   * @param {number} at
   * @param {number} payload bytes
   */
  #keep(message, at, payload) {
    // The answer to a switch, a slider or a break is neither counted, timed nor listed. Its number is followed.
    const answered = this.control.answered(message) || this.measuring.breaks.answered(message, at);
    if (message.id !== null) this.#transport.position = message.id;
    if (answered || tellsPosition(message)) return this.ledger.enter({ ...message, id: null });
    this.measuring.take(message, at, payload, this.#transport.wireBytes(payload, message.id));
    this.recent.add(message);
    this.speech.exchange.arrived(message, at);
    if (message.client === null) return;
    this.client = message.client;
    this.#tell();
  }

  /**
   * @param {string} why
   * @param {string} next
   */
  #broke(why, next) {
    const now = performance.now();
    const first = this.state !== "reconnecting";
    if (first) this.#since = now;
    this.measuring.broke(now);
    const cut = first && this.measuring.breaks.kind === "cut";
    this.client = null;
    this.speech.exchange.end();
    this.#become("reconnecting", `${cut ? "You cut it." : why} ${next}`.trim());
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #end(state, sentence) {
    clearInterval(this.#timer);
    this.measuring.ended(performance.now());
    this.client = null;
    this.speech.exchange.end();
    this.#become(state, sentence);
  }

  #tick() {
    const now = performance.now();
    if (now - this.#since > SLOW_MS) this.#wonder();
    const { chosen } = this.control;
    if (this.state === "connected" && now - this.#heard > this.#silence.patience(chosen)) {
      this.#become("stalled", this.#silence.sentence(chosen, this.#transport.stalled));
    }
    const expired = [this.speech.exchange.expire(now), this.measuring.breaks.expire(now)];
    if (expired.includes(true)) this.#changed();
  }

  /** Say why it may take so long to open. */
  #wonder() {
    if (this.state === "connecting") this.#become("connecting", this.#transport.slow());
    if (this.state === "reconnecting") this.#become("reconnecting", this.#transport.away() ?? this.sentence);
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #become(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.fault = false;
    this.#changed(true);
  }
}
