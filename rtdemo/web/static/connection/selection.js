// @ts-check
/**
 * What a connection receives: which producers, and how fast. Kept across connections, and sent to the open one.
 *
 * The address of a stream carries the selection at a connect. A later change goes to the open connection as a control
 * message.
 * @module connection/selection
 */

/** @typedef {import("../message.js").Message} Message */

/**
 * @typedef {object} Selection
 * @property {string[] | null} producers selected names; null selects all
 * @property {string} speed factor on the rate of private producers; a text, so that the server checks it as given
 */

/**
 * Read the selection from the page's address.
 * @param {string} search location.search
 * @returns {Selection}
 */
export function selectionFrom(search) {
  const given = new URLSearchParams(search);
  const names = given.get("producers");
  return { producers: names === null ? null : names.split(",").filter(Boolean), speed: given.get("speed") ?? "1" };
}

/**
 * Write a selection into an address as ?producers= and ?speed=.
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
 * Write a selection as a control message. It is always complete; the server leaves unchanged parts running.
 * @param {Selection} selection
 */
export function controlMessage({ producers, speed }) {
  return JSON.stringify({ rtdemo: { producers, speed: Number(speed) } });
}

/**
 * Parse the answer to a control message.
 * @param {string} text
 * @returns {Selection | string | null} the new selection, the server's error, or null for another text
 */
export function parseAnswer(text) {
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
export function sameSelection(one, other) {
  return sameSpeed(one.speed, other.speed) && sameProducers(one, other);
}

/**
 * Compare as numbers, or as texts where the server will refuse them anyway.
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
 * @param {string[]} known names that can be switched
 * @returns {Selection} null producers if all are on, so that later producers are received too
 */
export function switched({ producers, speed }, name, on, known) {
  const selected = known.filter((each) => (each === name ? on : (producers?.includes(each) ?? true)));
  return { producers: selected.length === known.length ? null : selected, speed };
}

/** The producer of the server's answers to control messages. */
const ANSWERS = "rtdemo";

/**
 * Return whether a message only reports a new log position, to a client that selected few shared producers.
 * @param {Message} message
 */
export function isPositionUpdate({ producer, id }) {
  return producer === ANSWERS && id !== null;
}

/** Keeps one connection's selection in step with the reader's choice. */
export class SelectionSync {
  /** @type {Selection} */
  chosen;
  /** Why the connection does not receive what was chosen; empty while it does. */
  refusal = "";
  /** @type {Selection} in the address of the last connect */
  #requested;
  /** @type {Selection | null} sent to the connection last; null if that may have failed */
  #sent;
  /** @type {Selection} confirmed by the server last */
  #confirmed;
  #unanswered = 0;

  /** @param {Selection} start */
  constructor(start) {
    this.chosen = this.#requested = this.#sent = this.#confirmed = start;
  }

  /**
   * Write the choice into the address of a connection.
   * @param {URL} url
   */
  address(url) {
    return addressFor(url, this.chosen).href;
  }

  /** Record that a connection opens with the address as it is now. */
  connecting() {
    this.#requested = this.chosen;
    this.refusal = "";
  }

  /** Record that the connection is open and has the selection of its address. */
  opened() {
    this.#sent = this.#confirmed = this.#requested;
    this.#unanswered = 0;
  }

  /** @param {Selection} selection */
  choose(selection) {
    this.chosen = selection;
    this.refusal = "";
  }

  /**
   * Return the control message that the open connection needs, and count it as sent.
   * @returns {string | null} null if the connection has what was chosen
   */
  next() {
    if (this.#sent !== null && sameSelection(this.#sent, this.chosen)) return null;
    this.#sent = this.chosen;
    this.#unanswered += 1;
    return controlMessage(this.chosen);
  }

  /**
   * Record that the message was not sent; next() returns it again.
   * @param {string} sentence
   */
  sendFailed(sentence) {
    this.#sent = null;
    this.#unanswered = Math.max(0, this.#unanswered - 1);
    this.refusal = sentence;
  }

  /**
   * Take the server's answer, and return whether it answers a choice made here. An answer to a control message that the
   * reader typed is an ordinary message, but its selection becomes the choice.
   * @param {Message} message
   */
  answered({ producer, message }) {
    const answer = producer === ANSWERS ? parseAnswer(message) : null;
    if (answer === null) return false;
    const ours = this.#unanswered > 0;
    if (ours) this.#unanswered -= 1;
    if (typeof answer === "string") {
      if (ours) this.#refused(answer);
      return ours;
    }
    this.#confirmed = answer;
    if (!ours) this.chosen = this.#sent = answer;
    return ours;
  }

  /** @param {string} sentence */
  #refused(sentence) {
    this.refusal = sentence;
    // A later choice is still on its way and gets its own answer.
    if (this.#unanswered === 0) this.chosen = this.#sent = this.#confirmed;
  }
}
