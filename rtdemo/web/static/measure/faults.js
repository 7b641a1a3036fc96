// @ts-check
/**
 * Breaks that the reader causes: what is asked of the server, and which messages belong to it. Knows no network.
 *
 * A break lasts from the server's answer until the connection delivers normally again: until a message comes that the
 * server made after it let go. Both moments are the server's own (`sentAt`), so no clock error is in this. What was asked
 * for and not answered is no break, and one whose end was asked for and not answered goes on.
 * @module measure/faults
 */

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("./spans.js").Spans} Spans */
/** @typedef {"cut" | "stop" | "delay"} Break */

const PATIENCE_MS = 10_000;

export class Breaks {
  /** @type {Break | null} the one that lasts */
  kind = null;
  /** Why nothing was broken; empty where there was no such refusal. */
  refusal = "";
  #spans;
  /** Messages with no later `sentAt` belong to a break. */
  #release = -Infinity;
  /** @type {{ kind: Break | "none", at: number } | null} what was asked for, when, while no answer came */
  #asked = null;

  /** @param {Spans} spans */
  constructor(spans) {
    this.#spans = spans;
  }

  /** Whether an answer is awaited. */
  get asking() {
    return this.#asked !== null;
  }

  /**
   * Ask for a break, or for the end of a delay.
   * @param {Break} kind
   * @param {number} at performance.now()
   * @returns {string} the control message that asks for it
   */
  press(kind, at) {
    this.refusal = "";
    const asked = this.kind === "delay" && kind === "delay" ? "none" : kind;
    this.#asked = { kind: asked, at };
    return JSON.stringify({ rtdemo: { break: asked } });
  }

  /**
   * See whether a message is the answer to a break; one that somebody typed counts as pressed.
   * @param {Message} message
   * @param {number} at performance.now()
   */
  answered({ producer, message, sentAt }, at) {
    if (producer !== "rtdemo") return false;
    const { break: kind, seconds, error } = fields(message);
    if (typeof error === "string" && this.asking) {
      this.failed(error);
      return true;
    }
    if (typeof kind !== "string") return false;
    this.#asked = null;
    if (kind === "cut" || kind === "stop" || kind === "delay") this.#begin(kind, at);
    if (kind === "stop") this.#release = sentAt + (Number(seconds) || 0) * 1000;
    if (kind === "none") this.#release = sentAt;
    return true;
  }

  /**
   * The connection broke: a cut may have taken its own answer with it.
   * @param {number} at performance.now()
   */
  broke(at) {
    if (this.#asked?.kind === "cut") this.#begin("cut", at);
    this.#asked = null;
  }

  /**
   * A new connection was welcomed: what the server did to the old one is over.
   * @param {Message} message
   */
  welcomed({ sentAt }) {
    this.#asked = null;
    if (this.kind !== null) this.#release = sentAt;
  }

  /**
   * Tell whether a message belongs to a break; one that does not ends it.
   * @param {Message} message
   * @param {number} at performance.now()
   */
  marks({ sentAt }, at) {
    if (sentAt <= this.#release) return true;
    this.#over(at);
    return false;
  }

  /**
   * It could not be asked for, or was refused: all is as it was before.
   * @param {string} sentence
   */
  failed(sentence) {
    this.refusal = sentence;
    this.#asked = null;
  }

  /**
   * Give up on an answer that does not come.
   * @param {number} now performance.now()
   * @returns {boolean} whether one was awaited for too long
   */
  expire(now) {
    if (this.#asked === null || now - this.#asked.at < PATIENCE_MS) return false;
    this.failed("The server has not answered in 10 s.");
    return true;
  }

  /**
   * The connection ended, and with it whatever was done to it.
   * @param {number} at performance.now()
   */
  end(at) {
    this.#over(at);
    this.#asked = null;
  }

  /** @param {number} at */
  #over(at) {
    if (this.kind !== null) this.#spans.close(this.kind, at);
    this.kind = null;
  }

  /**
   * @param {Break} kind
   * @param {number} at
   */
  #begin(kind, at) {
    if (this.kind !== null && this.kind !== kind) this.#spans.close(this.kind, at);
    this.kind = kind;
    this.#release = Infinity;
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
