// @ts-check
/**
 * The reader's login token, and the tickets that stand for it in the address of a connection.
 *
 * EventSource and WebSocket send no header, so each connection needs a ticket, which works once and for 30 s. The token
 * itself is never in an address. It is kept in sessionStorage, for this tab; a browser that restores the tab restores it too.
 * Where the browser forbids that, it is kept until the page is left.
 * @module connection/login
 */
import { mayHeal } from "../client/may_heal.js";
import { clip, oneLine } from "../format.js";

const KEY = "rtdemo-token";
const TIMEOUT_MS = 5_000;
const UNAUTHORIZED = 401;

/** The server's reason when a connection's token expires. */
export const EXPIRED = "token expired";

/** The sentence for the reader then. */
export const EXPIRED_SENTENCE = "Your token has expired. Enter a new one, then press Connect.";

/** Why a ticket was not given. */
export class NoTicketError extends Error {
  /**
   * @param {string} sentence
   * @param {boolean} isFinal whether another try would fail too
   */
  constructor(sentence, isFinal) {
    super(sentence);
    this.isFinal = isFinal;
  }
}

export class Login {
  /** Why the server asks for a token; empty while it does not. */
  problem = "";
  /** Where the reader enters a token; empty on a page without a form. */
  advice = "";
  /** Whether the server has accepted the token. */
  isAccepted = false;
  /** Why the server has answered without checking the token; empty if it has not. */
  delay = "";
  #changed;
  #storage;
  #tickets;
  #token = "";

  /**
   * @param {() => Storage} storage keeps the token; throws where the browser forbids it
   * @param {(soon?: boolean) => void} changed called after the token or the problem changed
   * @param {URL} tickets where tickets are asked for
   */
  constructor(storage, changed, tickets = new URL("api/ticket", location.href)) {
    this.#storage = storage;
    this.#changed = changed;
    this.#tickets = tickets;
    this.#ifAllowed(() => (this.#token = this.#storage().getItem(KEY) ?? ""));
  }

  /** Whether there is a token, valid or not. */
  get hasToken() {
    return this.#token !== "";
  }

  /** Headers of a request to the API. @returns {Record<string, string>} */
  get headers() {
    return this.hasToken ? { Authorization: `Bearer ${this.#token}` } : {};
  }

  /** @param {string} token */
  enter(token) {
    this.#token = token.trim();
    this.#ifAllowed(() => this.#storage().setItem(KEY, this.#token));
    this.#set("", false);
  }

  forget() {
    this.#token = "";
    this.#ifAllowed(() => this.#storage().removeItem(KEY));
    this.#set(this.problem, false);
  }

  /** @param {() => void} action on the storage */
  #ifAllowed(action) {
    try {
      action();
    } catch {
      // Without the storage, this page has the token all the same.
    }
  }

  /** The server has ended a connection because its token expired. */
  expired() {
    this.#set(EXPIRED_SENTENCE, false);
  }

  /**
   * Note an answer of the API: the server may accept the token, or ask for one.
   * @param {Response} response its body is read only if it refuses the request
   */
  async note(response) {
    if (response.ok) {
      if (!this.isAccepted || this.problem !== "") this.#set("", true);
      return;
    }
    const reason = clip(oneLine((await response.text()).trim()), 160).replace(/[^.!?]$/, "$&.");
    if (response.status === UNAUTHORIZED) {
      this.#set(this.hasToken ? `The server refused the token: ${reason}` : "This server needs a login token.", false);
    } else if (!this.isAccepted) {
      // Such as 429 after too many wrong tokens: nothing is known about this one.
      this.#set(this.problem, false, `The server has not checked the token: ${reason}`);
    }
  }

  /**
   * @param {string} problem
   * @param {boolean} isAccepted
   * @param {string} [delay]
   */
  #set(problem, isAccepted, delay = "") {
    this.problem = problem;
    this.isAccepted = isAccepted;
    this.delay = delay;
    this.#changed(true);
  }

  /**
   * Return a new ticket.
   * @returns {Promise<string>} rejects with a NoTicketError
   */
  async ticket() {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const request = { method: "POST", headers: this.headers, signal };
    const response = await fetch(this.#tickets, request).catch(() => null);
    if (response === null) {
      const sentence = `Nothing answers at ${this.#tickets.pathname}. Is the server running?`;
      throw new NoTicketError(sentence, false);
    }
    if (!response.ok) {
      await this.note(response.clone());
      if (response.status === UNAUTHORIZED && this.advice !== "") {
        throw new NoTicketError(`${this.problem} ${this.advice}`, true);
      }
      const reason = clip(oneLine((await response.text()).trim()), 160);
      throw new NoTicketError(`The server gave no ticket: ${reason}`, !mayHeal(response.status));
    }
    await this.note(response);
    const { ticket } = await response.json();
    return String(ticket);
  }

  /**
   * Return the address of a connection with a new ticket.
   * @param {string} address
   * @returns {Promise<string>} rejects with a NoTicketError
   */
  async admit(address) {
    const url = new URL(address);
    url.searchParams.set("ticket", await this.ticket());
    return url.href;
  }
}

/** One admission at a time: an answer that comes after `cancel`, or after a newer start, is dropped. */
export class Admission {
  #login;
  #number = 0;

  /** @param {Login | null} login null where the server needs none */
  constructor(login) {
    this.#login = login;
  }

  /**
   * Open an address: at once where no login is needed, else with a ticket.
   * @param {string} address
   * @param {(address: string) => void} open
   * @param {(error: NoTicketError) => void} failed
   */
  start(address, open, failed) {
    const number = ++this.#number;
    if (this.#login === null) return open(address);
    const still = () => number === this.#number;
    this.#login.admit(address).then(
      (url) => still() && open(url),
      (error) => still() && failed(error instanceof NoTicketError ? error : new NoTicketError(String(error), false)),
    );
  }

  cancel() {
    this.#number += 1;
  }
}
