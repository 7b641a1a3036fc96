// @ts-check
/**
 * One side: its state, figures and last messages. Knows no page; a panel shows it.
 * @module side
 */
import { Exchange } from "./exchange.js";
import { clip, oneLine } from "./format.js";
import { parse } from "./message.js";
import { Recent } from "./recent.js";
import { sameProducers } from "./selection.js";
import { patience, silence } from "./silence.js";
import { Stats } from "./stats.js";

/** @typedef {import("./clock.js").Clock} Clock */
/** @typedef {import("./control.js").Control} Control */
/** @typedef {import("./producers.js").Producer} Producer */
/** @typedef {import("./selection.js").Selection} Selection */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportEvents} TransportEvents */
/** @typedef {"idle" | "connecting" | "connected" | "stalled" | "reconnecting"} Going */
/** @typedef {Going | "refused" | "lost" | "disconnected"} State */

const SLOW_MS = 5_000;
const TICK_MS = 1_000;

/** @type {ReadonlySet<State>} */
const ACTIVE = new Set(["connecting", "connected", "stalled", "reconnecting"]);
/** @type {ReadonlySet<State>} */
const OPEN = new Set(["connected", "stalled"]);

export class Side {
  /** @type {State} */
  state = "idle";
  sentence;
  /** Whether the sentence is about a fault that did not change the state. */
  fault = false;
  /** What went wrong with the last text. */
  sending = "";
  stats = new Stats();
  recent = new Recent();
  exchange = new Exchange();
  /** @type {string | null} */
  client = null;
  #clock;
  #changed;
  #transport;
  #telling = false;
  #since = 0;
  #heard = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /**
   * @param {(events: TransportEvents) => Transport} transport
   * @param {Clock} clock
   * @param {Control} control what it receives
   * @param {() => void} changed called after whatever a panel shows may have changed
   */
  constructor(transport, clock, control, changed) {
    this.#clock = clock;
    this.control = control;
    this.#changed = changed;
    this.#transport = transport({
      opened: () => this.#opened(),
      message: (data, at) => this.#message(data, at),
      reconnecting: (sentence) => this.#broke(sentence),
      refused: (sentence) => this.#end("refused", sentence),
      lost: (sentence) => this.#end("lost", sentence),
    });
    this.sentence = this.#invitation;
  }

  get active() {
    return ACTIVE.has(this.state);
  }

  get open() {
    return OPEN.has(this.state);
  }

  connect() {
    if (this.active) return;
    this.sending = "";
    this.#transport.position = null;
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
    this.stats.reset();
    this.recent.clear();
    this.exchange.reset();
    this.sending = "";
    this.#changed();
  }

  /** @param {string} text */
  async send(text) {
    this.sending = "";
    let sent;
    try {
      sent = this.exchange.begin(text, performance.now());
      await this.#transport.send(text, this.client);
    } catch (error) {
      if (sent !== undefined) this.exchange.failed(sent);
      this.sending = error instanceof Error ? error.message : String(error);
    }
    this.#changed();
  }

  /**
   * Choose what this side receives: at once where it is connected, and at every connect from now on.
   * @param {Selection} selection
   */
  choose(selection) {
    if (!sameProducers(selection, this.control.chosen)) this.stats.ledger.resume();
    this.control.choose(selection);
    if (this.state === "idle") this.sentence = this.#invitation;
    void this.#tell();
    this.#changed();
  }

  /**
   * Learn which producers there are.
   * @param {Producer[]} producers
   */
  learn(producers) {
    this.stats.ledger.shared = new Set(producers.filter(({ shared }) => shared).map(({ name }) => name));
  }

  /** Tell the open connection what was chosen: one message after the other, since posts may overtake each other. */
  async #tell() {
    if (this.#telling || !this.open) return;
    this.#telling = true;
    try {
      for (let text = this.control.next(); text !== null; text = this.control.next()) {
        await this.#transport.send(text, this.client);
      }
    } catch (error) {
      this.control.failed(error instanceof Error ? error.message : String(error));
      this.#changed();
    } finally {
      this.#telling = false;
    }
  }

  get #invitation() {
    return `Connect opens ${this.#transport.address}`;
  }

  #opened() {
    const now = performance.now();
    const back = this.state === "reconnecting";
    if (!back) this.stats.opening = now - this.#since;
    this.#heard = now;
    this.stats.ledger.begin();
    this.control.opened();
    const away = ((now - this.#since) / 1000).toFixed(1);
    const sentence = back ? `Back after ${away} s.` : "Messages arrive as they are made.";
    this.#become("connected", sentence);
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
      this.stats.unreadable += 1;
      const start = typeof data === "string" ? `It begins “${clip(oneLine(data), 40)}”.` : "It is not text.";
      this.fault = true;
      this.sentence = `A message could not be read and was left out. ${start}`;
    } else {
      this.#keep(message, at);
    }
    this.#changed();
  }

  /**
   * @param {import("./message.js").Message} message
   * @param {number} at
   */
  #keep(message, at) {
    // The answer to a switch or to the slider is no part of what is compared: neither counted, timed nor listed. Its
    // number is followed, so that a lost one shows and the next is no gap.
    if (this.control.answered(message)) return this.stats.ledger.enter(message);
    const server = this.#clock.at(at);
    if (message.id !== null) this.#transport.position = message.id;
    this.stats.record(message, server && { value: server.time - message.sentAt, error: server.error });
    this.recent.add(message);
    this.exchange.arrived(message, at);
    if (message.client === null) return;
    this.client = message.client;
    void this.#tell();
  }

  /** @param {string} sentence */
  #broke(sentence) {
    if (this.state !== "reconnecting") this.#since = performance.now();
    this.client = null;
    this.exchange.end();
    this.#become("reconnecting", sentence);
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #end(state, sentence) {
    clearInterval(this.#timer);
    this.client = null;
    this.exchange.end();
    this.#become(state, sentence);
  }

  #tick() {
    const now = performance.now();
    if (this.state === "connecting" && now - this.#since > SLOW_MS) this.#become("connecting", this.#transport.slow);
    const { chosen } = this.control;
    if (this.state === "connected" && now - this.#heard > patience(chosen)) {
      this.#become("stalled", silence(chosen, this.#transport.stalled));
    }
    if (this.exchange.expire(now)) this.#changed();
  }

  /**
   * @param {State} state
   * @param {string} sentence
   */
  #become(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.fault = false;
    this.#changed();
  }
}
