// @ts-check
/**
 * What one side says to the server, over its transport's own way: texts, choices, breaks.
 * @module connection/sending
 */
import { Exchange } from "./exchange.js";

/** @typedef {import("./control.js").Control} Control */
/** @typedef {(text: string) => Promise<void>} Send rejects with a sentence */

export class Speech {
  exchange = new Exchange();
  /** What went wrong with the last text. */
  sending = "";
  #send;
  #control;
  #changed;
  #telling = false;

  /**
   * @param {Send} send
   * @param {Control} control
   * @param {() => void} changed
   */
  constructor(send, control, changed) {
    this.#send = send;
    this.#control = control;
    this.#changed = changed;
  }

  /**
   * Say what somebody typed; its reply is awaited.
   * @param {string} text
   */
  async say(text) {
    this.sending = "";
    let sent;
    try {
      sent = this.exchange.begin(text, performance.now());
      await this.#send(text);
    } catch (error) {
      if (sent !== undefined) this.exchange.failed(sent);
      this.sending = sentence(error);
    }
    this.#changed();
  }

  /**
   * Ask for a break.
   * @param {string} text the control message
   * @param {(sentence: string) => void} failed
   */
  async ask(text, failed) {
    try {
      await this.#send(text);
    } catch (error) {
      failed(sentence(error));
      this.#changed();
    }
  }

  /** Tell the open connection what was chosen: one message after the other, since posts may overtake each other. */
  async tell() {
    if (this.#telling) return;
    this.#telling = true;
    try {
      for (let text = this.#control.next(); text !== null; text = this.#control.next()) await this.#send(text);
    } catch (error) {
      this.#control.failed(sentence(error));
      this.#changed();
    } finally {
      this.#telling = false;
    }
  }

  reset() {
    this.exchange.reset();
    this.sending = "";
  }
}

/** @param {unknown} error */
function sentence(error) {
  return error instanceof Error ? error.message : String(error);
}
