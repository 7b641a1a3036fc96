// @ts-check
/**
 * Fault injection: what is requested of the server, and which messages a fault affects. No network.
 *
 * A fault lasts from the server's answer until the first message that the server made after it ended the fault. Both
 * moments are the server's own (`sentAt`), so there is no clock error in this. A request without an answer is no fault,
 * and a fault continues while the request to end it has no answer.
 * @module measure/faults
 */

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./spans.js").Spans} Spans */
/** @typedef {"cut" | "stop" | "delay"} Fault */

const ANSWER_TIMEOUT_MS = 10_000;

export class Faults {
  /** @type {Fault | null} the fault in effect */
  kind = null;
  /** @type {number | null} performance.now() when the server ends it by itself; null if it does not */
  endsAt = null;
  /** Why the last request had no effect; empty if it had. */
  refusal = "";
  #spans;
  /** Messages up to this `sentAt` are affected. */
  #affectedUntil = -Infinity;
  /** @type {{ kind: Fault | "none", at: number } | null} the request that waits for its answer */
  #request = null;

  /** @param {Spans} spans */
  constructor(spans) {
    this.#spans = spans;
  }

  /** Whether a request waits for its answer. */
  get pending() {
    return this.#request !== null;
  }

  /**
   * Request a fault, or the end of a delay.
   * @param {Fault} kind
   * @param {number} at performance.now()
   * @returns {string} the control message to send
   */
  request(kind, at) {
    this.refusal = "";
    const requested = this.kind === "delay" && kind === "delay" ? "none" : kind;
    this.#request = { kind: requested, at };
    return JSON.stringify({ rtdemo: { break: requested } });
  }

  /**
   * Take the server's answer to a request, and return whether the message is one. A typed control message counts too.
   * @param {Message} message
   * @param {number} at performance.now()
   */
  answered({ producer, message, sentAt }, at) {
    if (producer !== "rtdemo") return false;
    const { break: kind, seconds, error } = fields(message);
    if (typeof error === "string" && this.pending) {
      this.requestFailed(error);
      return true;
    }
    if (typeof kind !== "string") return false;
    this.#request = null;
    if (kind === "cut" || kind === "stop" || kind === "delay") this.#begin(kind, at);
    if (kind === "stop") {
      const lasts = (Number(seconds) || 0) * 1000;
      this.#affectedUntil = sentAt + lasts;
      this.endsAt = at + lasts;
    }
    if (kind === "none") this.#affectedUntil = sentAt;
    return true;
  }

  /**
   * Record that the connection broke. A requested cut may have broken it before its answer arrived.
   * @param {number} at performance.now()
   */
  connectionLost(at) {
    if (this.#request?.kind === "cut") this.#begin("cut", at);
    this.#request = null;
  }

  /**
   * Record a new connection's welcome: the server ended the faults of the old one.
   * @param {Message} message
   */
  welcomed({ sentAt }) {
    this.#request = null;
    if (this.kind !== null) this.#affectedUntil = sentAt;
  }

  /**
   * Return whether a fault affects a message. The first unaffected message ends the fault.
   * @param {Message} message
   * @param {number} at performance.now()
   */
  affects({ sentAt }, at) {
    if (sentAt <= this.#affectedUntil) return true;
    this.#close(at);
    return false;
  }

  /**
   * Record that the request was not sent or was refused.
   * @param {string} sentence
   */
  requestFailed(sentence) {
    this.refusal = sentence;
    this.#request = null;
  }

  /**
   * Drop a request that has waited too long.
   * @param {number} now performance.now()
   * @returns {boolean} whether there was one
   */
  expire(now) {
    if (this.#request === null || now - this.#request.at < ANSWER_TIMEOUT_MS) return false;
    this.requestFailed("The server did not answer in 10 s.");
    return true;
  }

  /**
   * Record that the connection ended, which ends every fault.
   * @param {number} at performance.now()
   */
  end(at) {
    this.#close(at);
    this.#request = null;
  }

  /** @param {number} at performance.now() */
  #close(at) {
    if (this.kind !== null) this.#spans.close(this.kind, at);
    this.kind = this.endsAt = null;
  }

  /**
   * @param {Fault} kind
   * @param {number} at performance.now()
   */
  #begin(kind, at) {
    if (this.kind !== null && this.kind !== kind) this.#spans.close(this.kind, at);
    this.kind = kind;
    this.endsAt = null;
    this.#affectedUntil = Infinity;
    this.#spans.open(kind, at);
  }
}

/**
 * @param {string} text
 * @returns {Record<string, unknown>}
 */
function fields(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}
