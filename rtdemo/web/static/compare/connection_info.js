// @ts-check
/**
 * What the server knows of each open connection: asked once a connection, by its id.
 * @module compare/connection_info
 */

/** @typedef {import("./parity.js").Facts} Facts */

const TIMEOUT_MS = 5_000;

/** How soon it is asked again where there was no answer. */
const RETRY_MS = 5_000;

export class ConnectionFacts {
  /** @type {Facts | null} null where nothing was told */
  told = null;
  /** @type {string | null} */
  #client = null;
  #again = Infinity;
  #offered;
  #changed;

  /**
   * @param {boolean} offered whether the server's probes are switched on
   * @param {() => void} changed
   */
  constructor(offered, changed) {
    this.#offered = offered;
    this.#changed = changed;
  }

  /** Why nothing is told. */
  get untold() {
    if (!this.#offered) return "the server's probes are switched off";
    return this.#client === null ? "told once both are connected" : "the server has not told yet";
  }

  /**
   * Learn which connection is open; called again and again. What is known of the last one stands until the next is, so that a cut does not blank
   * the audit.
   * @param {string | null} client its id
   */
  follow(client) {
    if (!this.#offered || client === null) return;
    if (client === this.#client && performance.now() < this.#again) return;
    this.#client = client;
    this.#again = Infinity;
    void this.#ask(client);
  }

  /** @param {string} client */
  async #ask(client) {
    const facts = await read(client).catch(() => null);
    if (client !== this.#client) return;
    if (facts === null) this.#again = performance.now() + RETRY_MS;
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
