// @ts-check
/**
 * Watches the path of one side's open connection: finds out why nothing arrives, and what to do. Pure, but for the
 * browser's own report that it is offline.
 * @module connection/path_watch
 */
import { Liveness } from "../client/liveness.js";
import { NOTHING_ARRIVES, OFFLINE, RECONNECTS_SOON } from "./sentences.js";
import { Silence } from "./silence.js";

/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("./selection.js").Selection} Selection */

/**
 * @typedef {object} Finding
 * @property {"silent" | "stalled" | "dead"} kind silent: no producer sends anything; stalled: nothing at all arrives;
 *   dead: for so long that only a new connection can help
 * @property {string} cause
 * @property {string} sentence the cause, and what to do
 */

export class PathWatch {
  #liveness = new Liveness();
  #silence = new Silence();
  #lastMessageAt = 0;

  /** performance.now() when something arrived last. */
  get heardAt() {
    return this.#liveness.heardAt;
  }

  /**
   * Set the producers that the server offers.
   * @param {Producer[]} producers
   * @param {TransportName} transport
   */
  setProducers(producers, transport) {
    this.#silence.setProducers(producers, transport);
  }

  /** @param {number} now performance.now() */
  opened(now) {
    this.#liveness.opened(now);
    this.#lastMessageAt = now;
  }

  /**
   * Record that something arrived.
   * @param {number} at performance.now()
   * @param {boolean} isHeartbeat
   */
  heard(at, isHeartbeat) {
    this.#liveness.heard(at, isHeartbeat);
    if (!isHeartbeat) this.#lastMessageAt = at;
  }

  /**
   * Judge the path; called about twice a second.
   * @param {number} now performance.now()
   * @param {object} side
   * @param {Selection} side.selection what it receives
   * @param {number | null} side.faultEndsAt performance.now() until when an injected fault holds everything back
   * @param {string} side.stallHint what to check if nothing has arrived since it was opened
   * @returns {Finding | null} null while all is well
   */
  check(now, { selection, faultEndsAt, stallHint }) {
    if (faultEndsAt !== null && now < faultEndsAt) {
      this.#liveness.excuse(now);
      return null;
    }
    const verdict = this.#liveness.check(now);
    if (verdict === "alive") {
      const works = this.#liveness.hasHeartbeats;
      const sentence = this.#silence.sentence(selection, now - this.#lastMessageAt, works);
      return sentence === null ? null : { kind: "silent", cause: "", sentence };
    }
    const advice = this.#liveness.hasHeard ? RECONNECTS_SOON : stallHint;
    const sentence = `${NOTHING_ARRIVES} ${navigator.onLine ? advice : OFFLINE}`.trim();
    return { kind: verdict === "dead" ? "dead" : "stalled", cause: NOTHING_ARRIVES, sentence };
  }
}
