// @ts-check
/**
 * Selects the messages that can be compared: from the same producers on the same schedule, in blocks of time in which
 * both sides had some. Pure.
 * @module compare/comparable
 */
import { seeded, sortSamples } from "./bootstrap.js";
import { sameSpeed } from "../connection/selection.js";

/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../measure/recording.js").Recording} Recording */
/** @typedef {import("./bootstrap.js").Sorted} Sorted */
/** @typedef {import("../connection/selection.js").Selection} Selection */

/** Bound on a side's samples; from more, a random choice is taken. */
export const MAX_SAMPLES = 16_384;

const MIN_BLOCK_MS = 1_000;

/**
 * @typedef {object} Schedule
 * @property {string[]} names of producers with the same schedule on both sides
 * @property {string[]} others names of producers that run on both with different schedules
 * @property {number} block milliseconds, long enough for one message of the most frequent producer
 */

/**
 * Find the producers that both sides receive on the same schedule.
 * @param {Producer[]} producers
 * @param {{ websocket: Selection, sse: Selection }} chosen
 * @returns {Schedule}
 */
export function commonSchedule(producers, { websocket, sse }) {
  const both = producers
    .filter((producer) => received(producer, "websocket", websocket))
    .filter((producer) => received(producer, "sse", sse));
  const speed = Number(websocket.speed);
  const same = both.filter(({ shared, on }) => {
    const period = on.websocket?.period ?? null;
    return shared || (period !== null && period === on.sse?.period && sameSpeed(websocket.speed, sse.speed));
  });
  const others = both.filter((producer) => !same.includes(producer)).map(({ name }) => name);
  const periods = same.map(({ shared, on }) => ((on.websocket?.period ?? 0) / (shared ? 1 : speed)) * 1000);
  const shortest = Math.min(...periods.filter(Boolean));
  const block = Number.isFinite(shortest) ? Math.max(MIN_BLOCK_MS, shortest) : MIN_BLOCK_MS;
  return { names: same.map(({ name }) => name), others, block };
}

/**
 * Return whether a connection receives a producer's messages repeatedly, not only at connect.
 * @param {Producer} producer
 * @param {TransportName} transport
 * @param {Selection} selection
 */
function received({ name, shared, on }, transport, { producers }) {
  const entry = on[transport];
  if (entry === null) return false;
  const repeats = shared || entry.stream || entry.period !== null;
  return repeats && (entry.always || (producers?.includes(name) ?? true));
}

/**
 * Return the names of the producers from which both sides received messages that count.
 * @param {Recording} websocket
 * @param {Recording} sse
 * @param {string[]} wanted
 */
export function commonProducers(websocket, sse, wanted) {
  const had = (/** @type {Recording} */ { names, payload: { messages } }, /** @type {string} */ name) =>
    (messages[names.indexOf(name)] ?? 0) > 0;
  return wanted.filter((name) => had(websocket, name) && had(sse, name));
}

/**
 * @typedef {object} Payload
 * @property {number} mean bytes of JSON; each producer has the same weight, however many messages it sent
 * @property {number} least number of messages of the producer that sent the fewest
 */

/**
 * Return the mean payload of the compared messages.
 * @param {Recording} recording
 * @param {string[]} wanted producers from which it has messages
 * @returns {Payload | null} null if there are none
 */
export function meanPayload({ names, payload: { messages, bytes } }, wanted) {
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
 * Select the samples of both sides that can be compared.
 * @param {Recording} websocket
 * @param {Recording} sse
 * @param {Schedule} schedule
 * @returns {Pair}
 */
export function pairSamples(websocket, sse, { names, block }) {
  const random = seeded(1);
  const both = new Set(commonProducers(websocket, sse, names));
  const [first, second] = [websocket, sse].map((recording) => select(recording, both, block, random));
  const shared = [...new Set(first.block)].filter((number) => second.known.has(number));
  const numbers = new Map(shared.slice(-65_535).map((number, index) => [number, index]));
  return { websocket: sorted(first, numbers), sse: sorted(second, numbers), blocks: numbers.size };
}

/** @typedef {{ latency: number[], block: number[], known: Set<number> }} Selected */

/**
 * @param {Recording} recording
 * @param {Set<string>} names
 * @param {number} length of a block, milliseconds
 * @param {() => number} random
 * @returns {Selected}
 */
function select({ ring, names: numbered }, names, length, random) {
  const wanted = numbered.map((name) => names.has(name));
  const share = MAX_SAMPLES / Math.max(1, ring.length);
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
 * @param {Selected} selected
 * @param {Map<number, number>} numbers new numbers of the blocks that both have
 */
function sorted({ latency, block }, numbers) {
  const kept = block.map((number) => numbers.get(number) ?? -1);
  return sortSamples(
    latency.filter((_, index) => kept[index] >= 0),
    kept.filter((number) => number >= 0),
  );
}
