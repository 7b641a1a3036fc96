// @ts-check
/**
 * The server's list of producers, polled every 2 s while the page is visible. The server has one entry for each name and
 * transport; the page joins the entries of one name into one producer.
 * @module producers
 */
import { clip, oneLine, timeOfDay } from "./format.js";

/** @typedef {import("./connection/login.js").Login} Login */
/** @typedef {"websocket" | "sse"} TransportName */

/**
 * @typedef {object} ProducerEntry an item of GET /api/producers
 * @property {string} name
 * @property {string} plugin empty for a name under which programs publish
 * @property {TransportName[]} transports
 * @property {boolean} shared
 * @property {boolean} always
 * @property {boolean} stream
 * @property {number | null} period seconds
 * @property {string} state
 * @property {number | null} sentAt of its newest message, milliseconds since the epoch; null for a private producer
 * @property {number} runs
 * @property {number} failures
 * @property {number} blocked
 * @property {string | null} lastError
 * @property {string} title empty for none, as `unit`
 * @property {string} unit
 * @property {number | null} low usual bounds of its numbers
 * @property {number | null} high
 */

/** @typedef {{ name: string, error: string | null, loaded: boolean }} Plugin an item of GET /api/plugins */

/**
 * @typedef {object} Producer
 * @property {string} name
 * @property {string} origin whether it is private or shared, and its plugin or the time of its last message
 * @property {boolean} shared
 * @property {string} state the worst of its entries
 * @property {number} runs
 * @property {number} failures
 * @property {number} blocked
 * @property {string} error the last one, on one line; empty if there is none
 * @property {{ websocket: ProducerEntry | null, sse: ProducerEntry | null }} on its entry for each transport
 */

/** @type {TransportName[]} */
export const TRANSPORTS = ["websocket", "sse"];

/** @type {Record<TransportName, string>} */
export const TRANSPORT_LABELS = { websocket: "WebSocket", sse: "SSE" };

/** From best to worst. */
const STATES = ["published", "running", "backing off", "failed", "disabled"];

const MAX_ERROR_CHARS = 1_000;
const POLL_INTERVAL_MS = 2_000;
const TIMEOUT_MS = 5_000;

/** Bound on producers that the page shows; /api/producers lists all. */
const MAX_SHOWN = 200;

/**
 * Join the entries of each name into one producer.
 * @param {ProducerEntry[]} entries
 * @returns {Producer[]} in the server's order
 */
export function joinEntries(entries) {
  /** @type {Map<string, ProducerEntry[]>} */
  const byName = new Map();
  // In one pass: a publisher may have used 10,000 names.
  for (const entry of entries) {
    const others = byName.get(entry.name);
    if (others === undefined) byName.set(entry.name, [entry]);
    else others.push(entry);
  }
  return [...byName.values()].map(join);
}

/**
 * @param {ProducerEntry[]} entries of one name
 * @returns {Producer}
 */
function join(entries) {
  const [{ name, shared, sentAt }] = entries;
  const sum = (/** @type {"runs" | "failures" | "blocked"} */ key) => entries.reduce((all, each) => all + each[key], 0);
  const worst = Math.max(...entries.map(({ state }) => STATES.indexOf(state)));
  const plugins = [...new Set(entries.map(({ plugin }) => plugin))].join(", ");
  return {
    name,
    shared,
    origin: `${shared ? "shared" : "private"}, ${plugins === "" ? lastMessageText(sentAt) : `plugin ${plugins}`}`,
    state: STATES[worst] ?? entries[0].state,
    runs: sum("runs"),
    failures: sum("failures"),
    blocked: sum("blocked"),
    error: joinErrors(entries),
    on: { websocket: entryFor(entries, "websocket"), sse: entryFor(entries, "sse") },
  };
}

/** @param {number | null} sentAt of a message, milliseconds since the epoch */
function lastMessageText(sentAt) {
  if (sentAt === null) return "no message yet";
  const isToday = new Date(sentAt).toDateString() === new Date().toDateString();
  // Sweden writes dates as ISO 8601 does, such as 2026-01-31.
  return `last message ${isToday ? timeOfDay(sentAt).slice(0, 8) : new Date(sentAt).toLocaleDateString("sv")}`;
}

/**
 * @param {ProducerEntry[]} entries
 * @param {TransportName} transport
 */
function entryFor(entries, transport) {
  return entries.find(({ transports }) => transports.includes(transport)) ?? null;
}

/** @param {ProducerEntry[]} entries */
function joinErrors(entries) {
  const failing = entries.filter(({ lastError }) => lastError);
  const prefix = (/** @type {ProducerEntry} */ { transports }) =>
    entries.length > 1 ? `${transports.map((each) => TRANSPORT_LABELS[each]).join(", ")}: ` : "";
  return failing.map((each) => prefix(each) + oneLine(clip(each.lastError ?? "", MAX_ERROR_CHARS))).join("; ");
}

/**
 * Describe when a producer runs for a connection, or why it does not.
 * @param {Producer} producer
 * @param {TransportName} transport
 * @param {string} speed of the connection; it does not apply to a shared producer
 */
export function periodText({ on }, transport, speed) {
  const entry = on[transport];
  if (entry === null) return `${TRANSPORT_LABELS[transport === "sse" ? "websocket" : "sse"]} only`;
  const { always, stream, shared, period } = entry;
  const factor = shared ? 1 : Number(speed) || 1;
  const text = period === null ? (stream ? "stream" : "at connect") : `every ${seconds(period / factor)}`;
  return always ? `${text}, always` : text;
}

/** @param {number} value */
function seconds(value) {
  return value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`;
}

/**
 * Return whether a reader can switch a producer on a transport.
 * @param {Producer} producer
 * @param {TransportName} transport
 */
export function switchable({ on }, transport) {
  const entry = on[transport];
  return entry !== null && !entry.always;
}

/**
 * List the names that can be switched on a transport.
 * @param {Producer[]} producers
 * @param {TransportName} transport
 */
export function switchableNames(producers, transport) {
  return producers.filter((producer) => switchable(producer, transport)).map(({ name }) => name);
}

/** Polls the list of producers, and the errors of plugins. */
export class ProducerList {
  /** @type {Producer[] | null} null before the first answer */
  producers = null;
  /** @type {string[]} a sentence for each plugin that was not loaded, or not again */
  pluginErrors = [];
  /** Why the list may be outdated; empty if it is not. */
  pollError = "";
  /** Number of producers that are not shown. */
  hidden = 0;
  #changed;
  #explainNoAnswer;
  #hasDetails;
  #login;
  #polling = false;
  /** How often the list was forgotten: an answer to an earlier request is dropped. */
  #forgotten = 0;

  /**
   * @param {() => void} changed called after each answer or failure
   * @param {() => Promise<string | null>} explainNoAnswer resolves to a sentence if other tabs are the cause
   * @param {boolean} hasDetails whether the server lets this reader ask for plugins' errors
   * @param {Login | null} [login] null where the server needs none
   */
  constructor(changed, explainNoAnswer, hasDetails, login = null) {
    this.#login = login;
    this.#changed = changed;
    this.#explainNoAnswer = explainNoAnswer;
    this.#hasDetails = hasDetails;
  }

  /** Poll now, unless a poll is under way or the server asks for a token. A failure keeps the last list. */
  async refresh() {
    if (this.#polling || this.#login?.problem) return;
    this.#polling = true;
    const forgotten = this.#forgotten;
    try {
      const [entries, plugins] = await Promise.all([
        fetchList("api/producers", this.#login),
        // Without the login's token, which is none for administration: it would count as a wrong one. A server that was
        // started again may refuse it.
        this.#hasDetails ? fetchList("api/plugins", null).catch(() => []) : [],
      ]);
      if (forgotten !== this.#forgotten) return;
      const producers = joinEntries(/** @type {ProducerEntry[]} */ (entries));
      this.producers = producers.slice(0, MAX_SHOWN);
      this.hidden = producers.length - this.producers.length;
      this.pluginErrors = /** @type {Plugin[]} */ (plugins).filter(({ error }) => error).map(pluginError);
      this.pollError = "";
    } catch {
      const why = this.#login?.problem || this.#login?.delay || (await this.#noAnswer());
      this.pollError = `${why} This list may be outdated; the page retries every 2 s.`;
    } finally {
      this.#polling = false;
      this.#changed();
    }
  }

  /** Forget the list: it may name producers that are only for the user who was logged in. */
  forget() {
    this.#forgotten += 1;
    this.producers = [];
    this.pluginErrors = [];
    this.hidden = 0;
    this.#changed();
  }

  /**
   * Enable a disabled producer.
   * @param {string} name
   * @returns {Promise<string>} why it failed; empty on success
   */
  async enable(name) {
    const failed = `${oneLine(clip(name, 40))} was not enabled:`;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(`api/producers/${encodeURIComponent(name)}/enable`, { method: "POST", signal });
      const line = response.ok ? "" : clip(oneLine((await response.text()).trim()), 200);
      await this.refresh();
      return response.ok ? "" : `${failed} the server answered ${response.status}. ${line}`;
    } catch {
      return `${failed} no answer. ${await this.#noAnswer()}`;
    }
  }

  async #noAnswer() {
    return (await this.#explainNoAnswer()) ?? "The server does not answer.";
  }

  /** Poll now, and every 2 s while the page is visible. */
  start() {
    const due = () => {
      if (!document.hidden) void this.refresh();
    };
    setInterval(due, POLL_INTERVAL_MS);
    document.addEventListener("visibilitychange", due);
    due();
  }
}

/**
 * @param {string} path
 * @param {Login | null} login
 * @returns {Promise<unknown[]>}
 */
async function fetchList(path, login) {
  const headers = login?.headers ?? {};
  const response = await fetch(path, { cache: "no-store", headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  await login?.note(response);
  /** @type {unknown} */
  const list = await response.json();
  if (!response.ok || !Array.isArray(list)) throw new TypeError(`${path} returned no list`);
  return list;
}

/** @param {Plugin} plugin with an error */
function pluginError({ name, error, loaded }) {
  const why = oneLine(clip(error ?? "", 300)).replace(/\.$/, "");
  return `Plugin ${oneLine(clip(name, 40))}: ${why}; ${loaded ? "the previous version keeps running" : "it is not loaded"}.`;
}
