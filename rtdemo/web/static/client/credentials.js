// @ts-check
/**
 * The login of a client: a token in a header, or a ticket in the address of a connection.
 * @module client/credentials
 */
import { noAnswer, post, refusal } from "./link.js";

/** @typedef {import("./link.js").Failure} Failure */
/** @typedef {() => string | Promise<string>} Renewable returns a new token or ticket at each call */

export class Credentials {
  /** Of each request. @type {Record<string, string>} */
  headers;
  /** Whether the next connection may have another login. */
  canRenew;
  #token;
  #ticket;
  #base;

  /**
   * @param {object} login
   * @param {string | Renewable} [login.token]
   * @param {Renewable} [login.ticket]
   * @param {Record<string, string>} [login.headers]
   * @param {string | null} base URL of the server
   */
  constructor({ token, ticket, headers }, base) {
    this.headers = { ...headers };
    const isRenewable = typeof token === "function";
    this.canRenew = isRenewable || ticket !== undefined;
    this.#token = isRenewable ? token : () => token;
    this.#ticket = ticket;
    this.#base = base;
  }

  /**
   * Prepare a connection: set its header, or add a ticket to its address. A WebSocket sends no header.
   * @param {URL} url
   * @returns {Promise<Failure | null>} null if it may open
   */
  async admit({ protocol, searchParams }) {
    const token = await this.#token();
    if (token) this.headers.Authorization = `Bearer ${token}`;
    if (this.#ticket !== undefined) searchParams.set("ticket", await this.#ticket());
    else if (token && this.#base !== null && protocol.startsWith("ws")) {
      const tickets = new URL("api/ticket", this.#base);
      const response = await post(tickets, this.headers).catch(() => null);
      if (response === null) return noAnswer(tickets.href);
      if (!response.ok) return refusal(response);
      searchParams.set("ticket", (await response.json()).ticket);
    }
    return null;
  }
}
