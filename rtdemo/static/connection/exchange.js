// @ts-check
/**
 * Texts on their way: which reply belongs to which, and how long it took.
 * @module connection/exchange
 */

/** @typedef {import("../message.js").Message} Message */

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
