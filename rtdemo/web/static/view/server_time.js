// @ts-check
/**
 * The server's time, roughly: a message that arrives now is at the right edge of the charts. Pure.
 * @module view/server_time
 */

export class ServerTime {
  /** Server's time minus performance.now(), milliseconds. */
  #offset;

  /**
   * @param {number} sentAt milliseconds since the epoch, as the page was made
   * @param {number} at performance.now()
   */
  constructor(sentAt, at) {
    this.#offset = sentAt - at;
  }

  /**
   * Set it by a message that was just sent.
   * @param {number} sentAt milliseconds since the epoch
   * @param {number} at performance.now() at which it arrived
   */
  set(sentAt, at) {
    this.#offset = sentAt - at;
  }

  /**
   * @param {number} at performance.now()
   * @returns {number} milliseconds since the epoch
   */
  at(at) {
    return at + this.#offset;
  }
}
