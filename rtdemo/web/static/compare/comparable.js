// @ts-check
/**
 * Which messages can be compared: those that both sides get from the same producers on the same schedule, in the blocks
 * of time in which both had some. Pure.
 * @module compare/comparable
 */
import { seeded, sortSamples } from "./bootstrap.js";
import { sameSpeed } from "../connection/selection.js";

/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../measure/recording.js").Recording} Recording */
/** @typedef {import("./bootstrap.js").Sorted} Sorted */
/** @typedef {import("../connection/selection.js").Selection} Selection */

/** Samples of a side that are looked at; of more, so many are drawn by chance. */
export const MOST = 16_384;

const BLOCK_MS = 1_000;

/**
 * @typedef {object} Schedule
 * @property {string[]} names of the producers that run alike on both
 * @property {string[]} others those that run on both, but not alike
 * @property {number} block milliseconds: a block that has a message of the most frequent producer
 */

/**
 * Find the producers that both sides receive on the same schedule.
 * @param {Producer[]} producers
 * @param {{ websocket: Selection, sse: Selection }} chosen
 * @returns {Schedule}
 */
export function schedule(producers, { websocket, sse }) {
  const both = producers
    .filter((producer) => received(producer, "websocket", websocket))
    .filter((producer) => received(producer, "sse", sse));
  const speed = Number(websocket.speed);
  const alike = both.filter(({ shared, on }) => {
    const period = on.websocket?.period ?? null;
    return shared || (period !== null && period === on.sse?.period && sameSpeed(websocket.speed, sse.speed));
  });
  const others = both.filter((producer) => !alike.includes(producer)).map(({ name }) => name);
  const periods = alike.map(({ shared, on }) => ((on.websocket?.period ?? 0) / (shared ? 1 : speed)) * 1000);
  const shortest = Math.min(...periods.filter(Boolean));
  const block = Number.isFinite(shortest) ? Math.max(BLOCK_MS, shortest) : BLOCK_MS;
  return { names: alike.map(({ name }) => name), others, block };
}

/**
 * Tell whether a connection gets a producer's messages again and again, not only at its beginning.
 * @param {Producer} producer
 * @param {TransportName} transport
 * @param {Selection} selection
 */
function received({ name, shared, on }, transport, { producers }) {
  const account = on[transport];
  if (account === null) return false;
  const repeats = shared || account.stream || account.period !== null;
  return repeats && (account.always || (producers?.includes(name) ?? true));
}

/**
 * Name the producers that both sides had messages of, such as count.
 * @param {Recording} websocket
 * @param {Recording} sse
 * @param {string[]} wanted
 */
export function common(websocket, sse, wanted) {
  const had = (/** @type {Recording} */ { names, payload: { messages } }, /** @type {string} */ name) =>
    (messages[names.indexOf(name)] ?? 0) > 0;
  return wanted.filter((name) => had(websocket, name) && had(sse, name));
}

/**
 * @typedef {object} Payload
 * @property {number} mean bytes of JSON; each producer counts alike, however many messages it had
 * @property {number} least messages of a producer
 */

/**
 * Sum up what the compared messages carry.
 * @param {Recording} recording
 * @param {string[]} wanted producers that it had messages of
 * @returns {Payload | null} null where there are none
 */
export function payload({ names, payload: { messages, bytes } }, wanted) {
  if (wanted.length === 0) return null;
  const numbers = wanted.map((name) => names.indexOf(name));
  const means = numbers.map((number) => bytes[number] / messages[number]);
  const mean = means.reduce((sum, each) => sum + each, 0) / means.length;
  return { mean, least: Math.min(...numbers.map((number) => messages[number])) };
}

/**
 * @typedef {object} Pair
 * @property {Sorted} websocket
 * @property {Sorted} sse
 * @property {number} blocks of time in which both have samples
 */

/**
 * Take the samples of both sides that can be compared.
 * @param {Recording} websocket
 * @param {Recording} sse
 * @param {Schedule} schedule
 * @returns {Pair}
 */
export function pair(websocket, sse, { names, block }) {
  const random = seeded(1);
  const both = new Set(common(websocket, sse, names));
  const [first, second] = [websocket, sse].map((recording) => pick(recording, both, block, random));
  const shared = [...new Set(first.block)].filter((number) => second.known.has(number));
  const numbers = new Map(shared.slice(-65_535).map((number, index) => [number, index]));
  return { websocket: sorted(first, numbers), sse: sorted(second, numbers), blocks: numbers.size };
}

/** @typedef {{ latency: number[], block: number[], known: Set<number> }} Picked */

/**
 * @param {Recording} recording
 * @param {Set<string>} names
 * @param {number} length of a block, milliseconds
 * @param {() => number} random
 * @returns {Picked}
 */
function pick({ ring, names: numbered }, names, length, random) {
  const wanted = numbered.map((name) => names.has(name));
  const share = MOST / Math.max(1, ring.length);
  const latency = [];
  const block = [];
  for (let index = 0; index < ring.length; index += 1) {
    const slot = ring.slot(index);
    if (ring.flags[slot] !== 0 || !wanted[ring.producer[slot]] || (share < 1 && random() >= share)) continue;
    latency.push(ring.latency[slot]);
    block.push(Math.floor(ring.at[slot] / length));
  }
  return { latency, block, known: new Set(block) };
}

/**
 * @param {Picked} picked
 * @param {Map<number, number>} numbers of the blocks that both have
 */
function sorted({ latency, block }, numbers) {
  const kept = block.map((number) => numbers.get(number) ?? -1);
  return sortSamples(
    latency.filter((_, index) => kept[index] >= 0),
    kept.filter((number) => number >= 0),
  );
}
