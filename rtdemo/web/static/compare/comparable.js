// @ts-check
/**
 * Selects the messages that can be compared: from the same producers on the same schedule, in blocks of time in which
 * both sides had some. Pure.
 * @module compare/comparable
 */
import { minimumCount } from "../measure/histogram.js";
import { seeded, sortSamples } from "./bootstrap.js";
import { sameSpeed } from "../connection/selection.js";

/** @typedef {import("../producers.js").Producer} Producer */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../measure/recording.js").Recording} Recording */
/** @typedef {import("./bootstrap.js").Sorted} Sorted */
/** @typedef {import("../connection/selection.js").Selection} Selection */

/** Bound on a side's samples; from more, a random choice is taken. */
export const MAX_SAMPLES = 16_384;

/** Samples that are looked at before other work may run. */
const SAMPLES_AT_ONCE = 4_096;

/** Least length of a block; a block that lacks a side's message grows until both have one. */
const MIN_BLOCK_MS = 400;

/**
 * @typedef {object} Schedule
 * @property {string[]} names of producers with the same schedule on both sides
 * @property {string[]} others names of producers that run on both with different schedules
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
  const same = both.filter(({ shared, on }) => {
    const period = on.websocket?.period ?? null;
    return shared || (period !== null && period === on.sse?.period && sameSpeed(websocket.speed, sse.speed));
  });
  const others = both.filter((producer) => !same.includes(producer)).map(({ name }) => name);
  return { names: same.map(({ name }) => name), others };
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
 * @typedef {object} Summary of one side's compared samples
 * @property {number} count
 * @property {number} p50 milliseconds
 * @property {number | null} p99 milliseconds; null while there are too few
 * @property {number} error the largest of a sample, milliseconds
 * @property {number} bytes mean on the wire
 */

/**
 * @typedef {object} Pair
 * @property {Sorted} websocket
 * @property {Sorted} sse
 * @property {[Summary, Summary] | null} summaries null if there is nothing to compare
 * @property {number} blocks of time in which both have samples
 */

/**
 * Select the samples of both sides that can be compared: those that there are now. Yields wherever the work can be split.
 * @param {Recording} websocket
 * @param {Recording} sse
 * @param {Schedule} schedule
 * @returns {Generator<undefined, Pair>}
 */
export function* pairSamples(websocket, sse, { names }) {
  const random = seeded(1);
  const both = new Set(commonProducers(websocket, sse, names));
  const [end, otherEnd] = [websocket.ring.total, sse.ring.total];
  const selected = yield* select(websocket, both, random, end);
  const others = yield* select(sse, both, random, otherEnd);
  const { numbers, blocks } = numberBlocks(selected.at, others.at);
  yield;
  const first = keep(selected, numbers[0]);
  yield;
  const second = keep(others, numbers[1]);
  yield;
  const one = sortSamples(first.latency, first.block);
  yield;
  const other = sortSamples(second.latency, second.block);
  yield;
  const summaries = blocks === 0 ? null : /** @type {[Summary, Summary]} */ ([summary(first, one), summary(second, other)]);
  return { websocket: one, sse: other, summaries, blocks };
}

/**
 * @typedef {object} Selected samples in order of arrival
 * @property {number[]} at performance.now()
 * @property {number[]} latency milliseconds
 * @property {number[]} error milliseconds
 * @property {number[]} bytes on the wire
 */

/** @typedef {Selected & { block: number[] }} Kept with the number of each one's block */

/**
 * @param {Recording} recording
 * @param {Set<string>} names
 * @param {() => number} random
 * @param {number} end the number of the first sample that is too new
 * @returns {Generator<undefined, Selected>}
 */
function* select({ ring, names: numbered }, names, random, end) {
  const wanted = numbered.map((name) => names.has(name));
  const share = MAX_SAMPLES / Math.max(1, ring.length);
  /** @type {Selected} */
  const selected = { at: [], latency: [], error: [], bytes: [] };
  for (let number = ring.first; number < end; number += 1) {
    if (number % SAMPLES_AT_ONCE === 0) {
      yield;
      // Meanwhile new samples may have overwritten the oldest.
      number = Math.max(number, ring.first);
    }
    const slot = ring.slot(number - ring.first);
    if (ring.flags[slot] !== 0 || !wanted[ring.producer[slot]] || (share < 1 && random() >= share)) continue;
    selected.at.push(ring.at[slot]);
    selected.latency.push(ring.latency[slot]);
    selected.error.push(ring.error[slot]);
    selected.bytes.push(ring.bytes[slot]);
  }
  return selected;
}

/** The number of a sample that is in no block. */
const NO_BLOCK = -1;

/**
 * Cut the time into blocks and number each sample's block. A block ends with the first sample that comes when both sides
 * have one and MIN_BLOCK_MS have passed. So it needs no schedule: messages that the server sends at once are in one
 * block, at any rate. While a side receives nothing, the other's samples are in no block.
 * @param {number[]} first times of arrival
 * @param {number[]} second
 * @returns {{ numbers: [number[], number[]], blocks: number }}
 */
export function numberBlocks(first, second) {
  /** @type {[number[], number[]]} */
  const numbers = [[], []];
  /** @type {[number, number]} samples of each side in the current block */
  let held = [0, 0];
  let blocks = 0;
  let start = -Infinity;
  const drop = () => numbers.forEach((list, side) => list.fill(NO_BLOCK, list.length - held[side]));
  for (let left = first.length + second.length; left > 0; left -= 1) {
    const one = first[numbers[0].length] ?? Infinity;
    const other = second[numbers[1].length] ?? Infinity;
    const side = one <= other ? 0 : 1;
    const at = Math.min(one, other);
    const whole = held[0] > 0 && held[1] > 0;
    const alone = !whole && held[1 - side] === 0;
    if (at - start >= MIN_BLOCK_MS && (whole || alone)) {
      if (whole) blocks += 1;
      else drop();
      held = [0, 0];
      start = at;
    }
    numbers[side].push(blocks);
    held[side] += 1;
  }
  if (held[0] > 0 && held[1] > 0) blocks += 1;
  else drop();
  return { numbers, blocks };
}

/**
 * @param {Selected} selected
 * @param {number[]} block number of each sample's block
 * @returns {Kept}
 */
function keep({ at, latency, error, bytes }, block) {
  const kept = (/** @type {number[]} */ values) => values.filter((_, index) => block[index] !== NO_BLOCK);
  return { at: kept(at), latency: kept(latency), error: kept(error), bytes: kept(bytes), block: kept(block) };
}

/**
 * @param {Kept} kept
 * @param {Sorted} sorted
 * @returns {Summary}
 */
function summary({ error, bytes }, { latency }) {
  const rank = (/** @type {number} */ percent) => latency[Math.max(0, Math.ceil((latency.length * percent) / 100) - 1)];
  return {
    count: latency.length,
    p50: rank(50),
    p99: latency.length < minimumCount(99) ? null : rank(99),
    error: error.reduce((most, each) => Math.max(most, each), 0),
    bytes: bytes.reduce((sum, each) => sum + each, 0) / bytes.length,
  };
}
