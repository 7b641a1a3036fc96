// @ts-check
/**
 * The last messages of one side.
 * @module connection/recent
 */

/** @typedef {import("../message.js").Message} Message */

/** Number of messages that are kept and shown. */
export const MAX_RECENT_MESSAGES = 10;

export class RecentMessages {
  /** @type {Message[]} newest first */
  messages = [];

  /** @param {Message} message */
  add(message) {
    this.messages.unshift(message);
    if (this.messages.length > MAX_RECENT_MESSAGES) this.messages.pop();
  }

  clear() {
    this.messages = [];
  }
}
