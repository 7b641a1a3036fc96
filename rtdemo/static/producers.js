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
