// @ts-check
/**
 * Asks the server what it observes of each open connection, once for each client id.
 * @module compare/connection_info
 */

/**
 * @typedef {object} ConnectionInfo as GET /api/probe/connection returns it
 * @property {string} server
 * @property {number} process
 * @property {string} http version, such as 1.1
 * @property {boolean} tls
 * @property {boolean | null} noDelay
 * @property {string | null} compression
 * @property {string[]} forwarding names of headers that a proxy added
 */

const TIMEOUT_MS = 5_000;
const RETRY_MS = 5_000;

export class ConnectionInfoLoader {
  /** @type {ConnectionInfo | null} null while unknown */
  info = null;
  /** @type {string | null} */
  #client = null;
  #retryAt = Infinity;
  #available;
  #changed;

  /**
   * @param {boolean} available whether the server's probes are enabled
   * @param {() => void} changed
   */
  constructor(available, changed) {
    this.#available = available;
    this.#changed = changed;
  }

  /** Why `info` is null. */
  get missingReason() {
    if (!this.#available) return "the server's probes are disabled";
    return this.#client === null ? "known once both are connected" : "no answer from the server yet";
  }

  /**
   * Load the info of a new connection; called at each painting. The last info stays until the next one arrives, so that
   * a reconnect does not empty the audit.
   * @param {string | null} client its id
   */
  follow(client) {
    if (!this.#available || client === null) return;
    if (client === this.#client && performance.now() < this.#retryAt) return;
    this.#client = client;
    this.#retryAt = Infinity;
    void this.#load(client);
  }

  /** @param {string} client */
  async #load(client) {
    const info = await fetchInfo(client).catch(() => null);
    if (client !== this.#client) return;
    if (info === null) this.#retryAt = performance.now() + RETRY_MS;
    this.info = info;
    this.#changed();
  }
}

/**
 * @param {string} client
 * @returns {Promise<ConnectionInfo | null>}
 */
async function fetchInfo(client) {
  const address = `api/probe/connection?client=${encodeURIComponent(client)}`;
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
