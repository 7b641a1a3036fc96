// @ts-check
/**
 * What one connection receives, as its reader chose it: kept across connections, told to the one that is open.
 *
 * The stream's address asks for it at a connect. A choice made later goes to the open connection as a control message;
 * so does one made before the browser's own retry, which asks with the old address.
 * @module connection/control
 */
import { addressFor, command, readAnswer, same } from "./selection.js";

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./selection.js").Selection} Selection */

/** The producer of the server's answers to control messages. */
const ANSWERS = "rtdemo";

/**
 * See whether a message only tells how far the log went on, to a client that gets little of it.
 * @param {Message} message
 */
export function tellsPosition({ producer, id }) {
  return producer === ANSWERS && id !== null;
}

export class Control {
  /** @type {Selection} */
  chosen;
  /** Why the connection does not receive what was chosen; empty while it does. */
  refusal = "";
  /** @type {Selection} what the address asked for */
  #asked;
  /** @type {Selection | null} what the connection was told last; null where that may have failed */
  #told;
  /** @type {Selection} what the server said last */
  #confirmed;
  #unanswered = 0;

  /** @param {Selection} start */
  constructor(start) {
    this.chosen = this.#asked = this.#told = this.#confirmed = start;
  }

  /**
   * Write the choice into the address of a connection.
   * @param {URL} url
   */
  address(url) {
    return addressFor(url, this.chosen).href;
  }

  /** A connection is about to open, with the address as it is now. */
  dialled() {
    this.#asked = this.chosen;
    this.refusal = "";
  }

  /** It is open, and has what the address asked for. */
  opened() {
    this.#told = this.#confirmed = this.#asked;
    this.#unanswered = 0;
  }

  /** @param {Selection} selection */
  choose(selection) {
    this.chosen = selection;
    this.refusal = "";
  }

  /**
   * Take the control message that the open connection needs.
   * @returns {string | null} null where it has what was chosen
   */
  next() {
    if (this.#told !== null && same(this.#told, this.chosen)) return null;
    this.#told = this.chosen;
    this.#unanswered += 1;
    return command(this.chosen);
  }

  /**
   * The message could not be sent: the next one says it again.
   * @param {string} sentence
   */
  failed(sentence) {
    this.#told = null;
    this.#unanswered = Math.max(0, this.#unanswered - 1);
    this.refusal = sentence;
  }

  /**
   * See whether a message is the server's answer to a choice made here. The answer to a control message that somebody
   * typed is a message like any other, and what it says becomes the choice.
   * @param {Message} message
   */
  answered({ producer, message }) {
    const answer = producer === ANSWERS ? readAnswer(message) : null;
    if (answer === null) return false;
    const ours = this.#unanswered > 0;
    if (ours) this.#unanswered -= 1;
    if (typeof answer === "string") {
      if (ours) this.#refused(answer);
      return ours;
    }
    this.#confirmed = answer;
    if (!ours) this.chosen = this.#told = answer;
    return ours;
  }

  /** @param {string} sentence */
  #refused(sentence) {
    this.refusal = sentence;
    // A later choice is still on its way and has its own answer.
    if (this.#unanswered === 0) this.chosen = this.#told = this.#confirmed;
  }
}
