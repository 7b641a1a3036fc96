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

/** Prefix of the parameters in the page's address that are for one side only. */
const SSE_ONLY = "sse.";

/** Value of `sse.producers` for all producers. */
const ALL = "*";

/**
 * Read a side's selection from the page's address: ?producers= and ?speed= are for both, ?sse.producers= and ?sse.speed=
 * for SSE alone.
 * @param {string} search location.search
 * @param {"websocket" | "sse"} [side]
 * @returns {Selection}
 */
export function selectionFrom(search, side = "websocket") {
  const given = new URLSearchParams(search);
  const value = (/** @type {string} */ name) =>
    (side === "sse" ? given.get(SSE_ONLY + name) : null) ?? given.get(name);
  const names = value("producers");
  const producers = names === null || names === ALL ? null : names.split(",").filter(Boolean);
  return { producers, speed: value("speed") ?? "1" };
}

/**
 * Write into the page's address what differs for SSE.
 * @param {URL} url with the selection of WebSocket
 * @param {Selection} websocket
 * @param {Selection} sse
 */
export function addDifference(url, websocket, sse) {
  const { searchParams } = url;
  if (!sameProducers(websocket, sse)) searchParams.set(`${SSE_ONLY}producers`, sse.producers?.join(",") ?? ALL);
  if (!sameSpeed(websocket.speed, sse.speed)) searchParams.set(`${SSE_ONLY}speed`, sse.speed);
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
  /** Position after which the first connection resumes; null for none. @type {string | null} */
  resumeAfter = null;
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
    const address = addressFor(url, this.chosen);
    if (this.resumeAfter !== null) address.searchParams.set("last_event_id", this.resumeAfter);
    return address.href;
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
    this.refusal = "";
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
