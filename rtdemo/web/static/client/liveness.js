// @ts-check
/**
 * Whether the path of an open connection still works, by what arrives: messages, and the server's heartbeats in silence.
 * Pure.
 *
 * A path that swallows everything, such as a proxy or a server that hangs, closes nothing. Only the missing heartbeats
 * show it. The first one comes with the connection. A server that has sent none is of an older version, and its silence
 * proves nothing.
 * @module client/liveness
 */

/** Silence after which the page asks the server for a heartbeat. */
export const HEARTBEAT_S = 2;

/** Silence after which a heartbeat is missing: one, and a second for its way. */
const MISSED_MS = 3_000;

/** Silence after which the path is dead: two heartbeats are missing. */
const DEAD_MS = 5_000;

/**
 * Longest wait for the first message, which comes with the connection. A proxy that collects a stream's events sends it
 * late: that path is slow, and a new connection would be no faster.
 */
const FIRST_MESSAGE_MS = 60_000;

/** A check that is later than this after the one before proves nothing: the page slept, or its timers were slowed down. */
const LATE_CHECK_MS = 2_000;

/** @typedef {"alive" | "missed" | "dead"} Verdict */

export class Liveness {
  /** performance.now() when something arrived last. */
  heardAt = 0;
  /** Whether the server has sent a heartbeat on this connection, and so sends them in silence. */
  hasHeartbeats = false;
  #openedAt = 0;
  #checkedAt = 0;
  /** From when silence counts. */
  #silentSince = 0;
  #deadAfter;
  #firstMs;

  /** @param {number} [firstMs] longest wait for the first message */
  constructor(firstMs = FIRST_MESSAGE_MS) {
    this.#deadAfter = this.#firstMs = firstMs;
  }

  /** Whether anything has arrived on this connection. */
  get hasHeard() {
    return this.#deadAfter < this.#firstMs;
  }

  /** @param {number} now performance.now() */
  opened(now) {
    this.heardAt = this.#openedAt = this.#checkedAt = this.#silentSince = now;
    this.#deadAfter = this.#firstMs;
    this.hasHeartbeats = false;
  }

  /**
   * Record that something arrived. Where the first message was late, later ones may be late too.
   * @param {number} now performance.now()
   * @param {boolean} [isHeartbeat]
   */
  heard(now, isHeartbeat = false) {
    this.hasHeartbeats ||= isHeartbeat;
    if (!this.hasHeard) this.#deadAfter = Math.min(Math.max(DEAD_MS, 2 * (now - this.#openedAt)), this.#firstMs - 1);
    this.heardAt = this.#silentSince = now;
  }

  /**
   * Record that silence is expected, and by itself proves nothing.
   * @param {number} now performance.now()
   */
  excuse(now) {
    this.#silentSince = this.#checkedAt = now;
  }

  /**
   * Judge the path; called about twice a second.
   * @param {number} now performance.now()
   * @returns {Verdict}
   */
  check(now) {
    const isLate = now - this.#checkedAt > LATE_CHECK_MS;
    this.#checkedAt = now;
    if (this.hasHeard && !this.hasHeartbeats) return "alive";
    // What arrived meanwhile may still wait for its event: the path gets the time of one more heartbeat.
    if (isLate) this.#silentSince = Math.max(this.#silentSince, now - this.#deadAfter + MISSED_MS);
    const silence = now - this.#silentSince;
    if (silence >= this.#deadAfter) return "dead";
    return silence >= MISSED_MS ? "missed" : "alive";
  }
}
