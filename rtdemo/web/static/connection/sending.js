// @ts-check
/**
 * What one side says to the server, over its transport's own way: texts, choices, breaks.
 * @module connection/sending
 */

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./selection.js").Control} Control */

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

/** Texts that may wait for their reply at once; a further one is not sent. */
export const WAITING = 100;

const PATIENCE_MS = 10_000;

export class Exchange {
  /** @type {number | null} milliseconds of the last reply */
  roundTrip = null;
  /** A few words under the figure. */
  note = "nothing sent yet";
  /** @type {{ text: string, at: number }[]} */
  #waiting = [];

  /**
   * Note a text that is about to be sent.
   * @param {string} text
   * @param {number} at performance.now()
   * @returns {{ text: string, at: number }} to take back with failed()
   */
  begin(text, at) {
    if (this.#waiting.length >= WAITING) throw new Error(`Not sent: ${WAITING} texts still wait for a reply.`);
    const sent = { text, at };
    this.#waiting.push(sent);
    this.note = "waiting for reply";
    return sent;
  }

  /**
   * Take a text back that could not be sent.
   * @param {{ text: string, at: number }} sent
   */
  failed(sent) {
    this.#waiting = this.#waiting.filter((each) => each !== sent);
    this.note = "not sent";
  }

  /**
   * See whether a message is the reply to the oldest text of that wording.
   * @param {Message} message
   * @param {number} at performance.now()
   */
  arrived(message, at) {
    if (message.producer !== "echo") return;
    const index = this.#waiting.findIndex(({ text }) => message.message === `Echo: ${text}`);
    if (index < 0) return;
    const [sent] = this.#waiting.splice(index, 1);
    this.roundTrip = at - sent.at;
    this.note = "last reply";
  }

  /**
   * Give up on texts that nobody answered.
   * @param {number} now performance.now()
   * @returns {boolean} whether there were any
   */
  expire(now) {
    const waiting = this.#waiting.filter(({ at }) => now - at < PATIENCE_MS);
    if (waiting.length === this.#waiting.length) return false;
    this.#waiting = waiting;
    this.note = "no reply in 10 s";
    return true;
  }

  /** The connection ended, and with it every reply still to come. */
  end() {
    if (this.#waiting.length > 0) this.note = "ended before reply";
    this.#waiting = [];
  }

  /** Forget the figure; a reply on its way still counts. */
  reset() {
    this.roundTrip = null;
    this.note = this.#waiting.length > 0 ? "waiting for reply" : "nothing sent yet";
  }
}
