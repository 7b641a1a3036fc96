// @ts-check
/**
 * Sends texts and control messages over one side's transport, and times the replies.
 * @module connection/sending
 */

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./selection.js").SelectionSync} SelectionSync */
/** @typedef {(text: string) => Promise<void>} Send rejects with a sentence */

/** Bound on texts that wait for their reply; further ones are not sent. */
export const MAX_WAITING_TEXTS = 100;

const REPLY_TIMEOUT_MS = 10_000;

/** Time after which a selection that could not be sent is sent again. */
export const RETRY_SELECTION_MS = 5_000;

export class Sender {
  roundTrips = new RoundTrips();
  /** Why the last text was not sent; empty if it was. */
  error = "";
  #send;
  #selection;
  #changed;
  #sendingSelection = false;
  /** performance.now() at which the selection is sent again. */
  #retryAt = Infinity;

  /**
   * @param {Send} send
   * @param {SelectionSync} selection
   * @param {() => void} changed
   */
  constructor(send, selection, changed) {
    this.#send = send;
    this.#selection = selection;
    this.#changed = changed;
  }

  /**
   * Send a reader's text and wait for its reply.
   * @param {string} text
   */
  async sendText(text) {
    this.error = "";
    let sent;
    try {
      sent = this.roundTrips.start(text, performance.now());
      await this.#send(text);
    } catch (error) {
      if (sent !== undefined) this.roundTrips.cancel(sent);
      this.error = sentence(error);
    }
    this.#changed();
  }

  /**
   * Send a control message.
   * @param {string} text
   * @param {(sentence: string) => void} failed
   */
  async sendControl(text, failed) {
    try {
      await this.#send(text);
    } catch (error) {
      failed(sentence(error));
      this.#changed();
    }
  }

  /** Send the selection to the open connection, one message at a time: POSTs may overtake each other. */
  async sendSelection() {
    if (this.#sendingSelection) return;
    this.#sendingSelection = true;
    this.#retryAt = Infinity;
    try {
      for (let text = this.#selection.next(); text !== null; text = this.#selection.next()) await this.#send(text);
    } catch (error) {
      this.#selection.sendFailed(sentence(error));
      this.#retryAt = performance.now() + RETRY_SELECTION_MS;
      this.#changed();
    } finally {
      this.#sendingSelection = false;
    }
  }

  /**
   * Send the selection again some time after that failed; called about twice a second.
   * @param {number} now performance.now()
   */
  retrySelection(now) {
    if (now >= this.#retryAt) void this.sendSelection();
  }

  reset() {
    this.roundTrips.reset();
    this.error = "";
  }
}

/** Matches replies to the texts that wait for them. */
export class RoundTrips {
  /** @type {number | null} milliseconds of the last reply */
  last = null;
  /** The note under the figure. */
  note = "nothing sent yet";
  /** @type {{ text: string, at: number }[]} */
  #waiting = [];

  /**
   * Record a text that is about to be sent.
   * @param {string} text
   * @param {number} at performance.now()
   * @returns {{ text: string, at: number }} for cancel()
   */
  start(text, at) {
    if (this.#waiting.length >= MAX_WAITING_TEXTS) {
      throw new Error(`Not sent: ${MAX_WAITING_TEXTS} texts still wait for a reply.`);
    }
    const sent = { text, at };
    this.#waiting.push(sent);
    this.note = "waiting for reply";
    return sent;
  }

  /**
   * Remove a text that could not be sent.
   * @param {{ text: string, at: number }} sent
   */
  cancel(sent) {
    this.#waiting = this.#waiting.filter((each) => each !== sent);
    this.note = "not sent";
  }

  /**
   * Match a message to the oldest waiting text that it echoes.
   * @param {Message} message
   * @param {number} at performance.now()
   */
  receive(message, at) {
    if (message.producer !== "echo") return;
    const index = this.#waiting.findIndex(({ text }) => message.message === `Echo: ${text}`);
    if (index < 0) return;
    const [sent] = this.#waiting.splice(index, 1);
    this.last = at - sent.at;
    this.note = "last reply";
  }

  /**
   * Drop texts that have waited too long.
   * @param {number} now performance.now()
   * @returns {boolean} whether there were any
   */
  expire(now) {
    const waiting = this.#waiting.filter(({ at }) => now - at < REPLY_TIMEOUT_MS);
    if (waiting.length === this.#waiting.length) return false;
    this.#waiting = waiting;
    this.note = "no reply in 10 s";
    return true;
  }

  /** Drop every waiting text: the connection ended. */
  end() {
    if (this.#waiting.length > 0) this.note = "ended before reply";
    this.#waiting = [];
  }

  /** Clear the figure; a reply that is on its way still counts. */
  reset() {
    this.last = null;
    this.note = this.#waiting.length > 0 ? "waiting for reply" : "nothing sent yet";
  }
}

/** @param {unknown} error */
function sentence(error) {
  return error instanceof Error ? error.message : String(error);
}
