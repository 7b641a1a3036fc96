// @ts-check
/**
 * What a connection asks for: which producers, and how fast. Pure: an address, a control message, a comparison.
 * @module connection/selection
 */

/** @typedef {import("../message.js").Message} Message */

/**
 * @typedef {object} Selection
 * @property {string[] | null} producers the names that were picked; null picks all
 * @property {string} speed multiplies the rate of private producers; as text, so that the server judges what was given
 */

/**
 * Take the page's own choice from its address.
 * @param {string} search location.search
 * @returns {Selection}
 */
export function selectionFrom(search) {
  const given = new URLSearchParams(search);
  const names = given.get("producers");
  return { producers: names === null ? null : names.split(",").filter(Boolean), speed: given.get("speed") ?? "1" };
}

/**
 * Write a selection into an address, as every connection understands it: ?producers= and ?speed=.
 * @param {URL} url
 * @param {Selection} selection
 * @returns {URL}
 */
export function addressFor(url, { producers, speed }) {
  const address = new URL(url);
  if (producers !== null) address.searchParams.set("producers", producers.join(","));
  if (speed !== "1") address.searchParams.set("speed", speed);
  return address;
}

/**
 * Write a selection as the control message that an open connection takes. It always says all of it: what does not
 * change goes on without a break.
 * @param {Selection} selection
 */
export function command({ producers, speed }) {
  return JSON.stringify({ rtdemo: { producers, speed: Number(speed) } });
}

/**
 * Read the answer to a control message.
 * @param {string} text
 * @returns {Selection | string | null} what the connection receives from now on, why nothing changed, or neither
 */
export function readAnswer(text) {
  try {
    const { producers, speed, error } = JSON.parse(text);
    if (typeof error === "string") return error;
    if (typeof speed !== "number" || (producers !== null && !Array.isArray(producers))) return null;
    return { producers, speed: String(speed) };
  } catch {
    return null;
  }
}

/**
 * @param {Selection} one
 * @param {Selection} other
 */
export function same(one, other) {
  return sameSpeed(one.speed, other.speed) && sameProducers(one, other);
}

/**
 * What is no number, and so refused, is alike as text.
 * @param {string} one
 * @param {string} other
 */
export function sameSpeed(one, other) {
  return one === other || Number(one) === Number(other);
}

/**
 * @param {Selection} one
 * @param {Selection} other
 */
export function sameProducers({ producers: one }, { producers: other }) {
  if (one === null || other === null) return one === other;
  return one.length === other.length && one.every((name) => other.includes(name));
}

/**
 * Switch one producer on or off.
 * @param {Selection} selection
 * @param {string} name
 * @param {boolean} on
 * @param {string[]} known the names that can be switched
 * @returns {Selection} all of them on is no pick, so that producers still to come are received too
 */
export function switched({ producers, speed }, name, on, known) {
  const picked = known.filter((each) => (each === name ? on : (producers?.includes(each) ?? true)));
  return { producers: picked.length === known.length ? null : picked, speed };
}

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
