// @ts-check
/**
 * The last messages of one side, and no more than that.
 * @module connection/recent
 */

/** @typedef {import("../message.js").Message} Message */

/** Messages kept and shown. */
export const KEPT = 10;

export class Recent {
  /** @type {Message[]} newest first */
  messages = [];

  /** @param {Message} message */
  add(message) {
    this.messages.unshift(message);
    if (this.messages.length > KEPT) this.messages.pop();
  }

  clear() {
    this.messages = [];
  }
}
