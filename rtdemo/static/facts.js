// @ts-check
/**
 * What the server knows of each open connection: asked once a connection, by its id.
 * @module facts
 */

/** @typedef {import("./parity.js").Facts} Facts */

const TIMEOUT_MS = 5_000;

export class ConnectionFacts {
  /** @type {Facts | null} null where nothing was told */
  told = null;
  /** @type {string | null} */
  #client = null;
  #changed;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  /**
   * Learn which connection is open. What is known of the last one stands until the next is, so that a cut does not blank
   * the audit.
   * @param {string | null} client its id
   */
  follow(client) {
    if (client === null || client === this.#client) return;
    this.#client = client;
    void this.#ask(client);
  }

  /** @param {string} client */
  async #ask(client) {
    const facts = await read(client).catch(() => null);
    if (client !== this.#client) return;
    this.told = facts;
    this.#changed();
  }
}

/**
 * @param {string} client
 * @returns {Promise<Facts | null>}
 */
async function read(client) {
  const address = `/api/probe/connection?client=${encodeURIComponent(client)}`;
  const response = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) return null;
  const { server, process, http, tls, noDelay, compression, forwarding } = await response.json();
  return {
    server: String(server),
    process: Number(process),
    http: String(http),
    tls: tls === true,
    noDelay: typeof noDelay === "boolean" ? noDelay : null,
    compression: typeof compression === "string" ? compression : null,
    forwarding: Array.isArray(forwarding) ? forwarding.map(String) : [],
  };
}
