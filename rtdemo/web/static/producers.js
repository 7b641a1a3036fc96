// @ts-check
/**
 * Producers as the server's list tells of them, one each. A name that stands twice, once for each transport, is one
 * producer with two accounts. Pure: no page, no network.
 * @module producers
 */
import { clip, oneLine } from "./format.js";

/** @typedef {"websocket" | "sse"} TransportName */

/**
 * @typedef {object} Account what GET /api/producers has an array of
 * @property {string} name
 * @property {string} plugin
 * @property {TransportName[]} transports
 * @property {boolean} shared
 * @property {boolean} always
 * @property {boolean} stream
 * @property {number | null} period seconds
 * @property {string} state
 * @property {number} runs
 * @property {number} failures
 * @property {number} blocked
 * @property {string | null} lastError
 */

/**
 * @typedef {object} Producer
 * @property {string} name
 * @property {string} origin its plugin, and whether it is private or shared
 * @property {boolean} shared
 * @property {string} state the worst of its accounts
 * @property {number} runs
 * @property {number} failures
 * @property {number} blocked
 * @property {string} error the last one, on one line; empty where there was none
 * @property {{ websocket: Account | null, sse: Account | null }} on its account on each transport
 */

/** @type {TransportName[]} */
export const TRANSPORTS = ["websocket", "sse"];

/** @type {Record<TransportName, string>} */
export const LABELS = { websocket: "WebSocket", sse: "SSE" };

/** From best to worst. */
const STATES = ["running", "backing off", "failed", "disabled"];

/** Characters of an error that are kept. */
const ERROR = 1_000;

/**
 * Gather the accounts of each name.
 * @param {Account[]} accounts
 * @returns {Producer[]} in the server's order
 */
export function gather(accounts) {
  const names = [...new Set(accounts.map(({ name }) => name))];
  return names.map((name) => join(accounts.filter((account) => account.name === name)));
}

/**
 * @param {Account[]} accounts of one name
 * @returns {Producer}
 */
function join(accounts) {
  const [{ name, shared }] = accounts;
  const sum = (/** @type {"runs" | "failures" | "blocked"} */ key) => accounts.reduce((all, each) => all + each[key], 0);
  const worst = Math.max(...accounts.map(({ state }) => STATES.indexOf(state)));
  const plugins = [...new Set(accounts.map(({ plugin }) => plugin))].join(", ");
  return {
    name,
    shared,
    origin: `${shared ? "shared" : "private"}, plugin ${plugins}`,
    state: STATES[worst] ?? accounts[0].state,
    runs: sum("runs"),
    failures: sum("failures"),
    blocked: sum("blocked"),
    error: errors(accounts),
    on: { websocket: accountOn(accounts, "websocket"), sse: accountOn(accounts, "sse") },
  };
}

/**
 * @param {Account[]} accounts
 * @param {TransportName} transport
 */
function accountOn(accounts, transport) {
  return accounts.find(({ transports }) => transports.includes(transport)) ?? null;
}

/** @param {Account[]} accounts */
function errors(accounts) {
  const told = accounts.filter(({ lastError }) => lastError);
  const where = (/** @type {Account} */ { transports }) =>
    accounts.length > 1 ? `${transports.map((each) => LABELS[each]).join(", ")}: ` : "";
  return told.map((each) => where(each) + oneLine(clip(each.lastError ?? "", ERROR))).join("; ");
}

/**
 * Say when a producer runs for a connection, or why it does not.
 * @param {Producer} producer
 * @param {TransportName} transport
 * @param {string} speed of the connection; a shared producer keeps its own
 */
export function timing({ on }, transport, speed) {
  const account = on[transport];
  if (account === null) return `${LABELS[transport === "sse" ? "websocket" : "sse"]} only`;
  const { always, stream, shared, period } = account;
  const factor = shared ? 1 : Number(speed) || 1;
  const words = period === null ? (stream ? "stream" : "at connect") : `every ${seconds(period / factor)}`;
  return always ? `${words}, always` : words;
}

/** @param {number} value */
function seconds(value) {
  return value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`;
}

/**
 * Tell whether a connection's switch for a producer can be moved.
 * @param {Producer} producer
 * @param {TransportName} transport
 */
export function switchable({ on }, transport) {
  const account = on[transport];
  return account !== null && !account.always;
}

/**
 * List the names that can be switched on a transport.
 * @param {Producer[]} producers
 * @param {TransportName} transport
 */
export function switchableNames(producers, transport) {
  return producers.filter((producer) => switchable(producer, transport)).map(({ name }) => name);
}

const REFRESH_MS = 2_000;
const TIMEOUT_MS = 5_000;

/** Producers shown; a server that has more is asked for the rest by its API. */
export const SHOWN = 200;

export class Roster {
  /** @type {Producer[] | null} null before the first answer */
  producers = null;
  /** @type {string[]} a sentence on each plugin whose reload failed */
  errors = [];
  /** Why the list is not of now; empty while it is. */
  fault = "";
  /** How many producers are not shown. */
  hidden = 0;
  #changed;
  #crowd;
  #asking = false;

  /**
   * @param {() => void} changed called after each answer, and each missing one
   * @param {() => Promise<string | null>} crowd says where other tabs are why nothing is answered
   */
  constructor(changed, crowd) {
    this.#changed = changed;
    this.#crowd = crowd;
  }

  /** Ask now, unless an answer is on its way. What does not come leaves what was known. */
  async refresh() {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const [accounts, plugins] = await Promise.all([ask("/api/producers"), ask("/api/plugins")]);
      const producers = gather(/** @type {Account[]} */ (accounts));
      this.producers = producers.slice(0, SHOWN);
      this.hidden = producers.length - this.producers.length;
      const reloads = /** @type {{ name: string, error: string | null }[]} */ (plugins);
      this.errors = reloads.flatMap(({ name, error }) => (error ? [reloadError(name, error)] : []));
      this.fault = "";
    } catch {
      this.fault = `${await this.#silence()} This list may be old; it is asked for every 2 s.`;
    } finally {
      this.#asking = false;
      this.#changed();
    }
  }

  /**
   * Let a disabled producer run again.
   * @param {string} name
   * @returns {Promise<string>} why it does not; empty where it does
   */
  async enable(name) {
    const failed = `${oneLine(clip(name, 40))} was not enabled:`;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(`/api/producers/${encodeURIComponent(name)}/enable`, { method: "POST", signal });
      const line = response.ok ? "" : clip(oneLine((await response.text()).trim()), 200);
      await this.refresh();
      return response.ok ? "" : `${failed} the server answered ${response.status}. ${line}`;
    } catch {
      return `${failed} no answer. ${await this.#silence()}`;
    }
  }

  async #silence() {
    return (await this.#crowd()) ?? "The server does not answer.";
  }

  /** Ask now, and every 2 s while somebody looks. */
  start() {
    const due = () => {
      if (!document.hidden) void this.refresh();
    };
    setInterval(due, REFRESH_MS);
    document.addEventListener("visibilitychange", due);
    due();
  }
}

/**
 * @param {string} path
 * @returns {Promise<unknown[]>}
 */
async function ask(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  /** @type {unknown} */
  const list = await response.json();
  if (!response.ok || !Array.isArray(list)) throw new TypeError(`${path} told no list`);
  return list;
}

/**
 * @param {string} name of the plugin
 * @param {string} error
 */
function reloadError(name, error) {
  return `Plugin ${oneLine(clip(name, 40))}: ${oneLine(clip(error, 300))}; what was loaded before runs on.`;
}
