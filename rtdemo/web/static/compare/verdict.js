// @ts-check
/**
 * Works the verdict out, at most every 2 s and in slices that hold no message up.
 * @module compare/verdict
 */
import { milliseconds } from "../format.js";
import { difference } from "./bootstrap.js";
import { pair } from "./comparable.js";
import { leftOut } from "../measure/recording.js";

/** @typedef {import("../measure/recording.js").Recording} Recording */
/** @typedef {import("./bootstrap.js").Interval} Interval */
/** @typedef {import("./comparable.js").Schedule} Schedule */

const EVERY_MS = 2_000;
/** Judged again once there are so many times the samples: less would not change it, and a long run costs no more. */
const MORE = 1.03;
/** A slice delays a message by no more than this. */
const SLICE_MS = 4;

/** @type {Findings} */
const NOTHING = { blocks: 0, samples: 0, median: null };

export class Judge {
  /** @type {Findings} */
  findings = NOTHING;
  #recordings;
  #schedule;
  #changed;
  #working = false;
  #judged = { samples: 0, names: "" };

  /**
   * @param {[Recording, Recording]} recordings of WebSocket and SSE
   * @param {() => Schedule | null} schedule null while the list of producers is not known
   * @param {() => void} changed called after each finding
   */
  constructor(recordings, schedule, changed) {
    this.#recordings = recordings;
    this.#schedule = schedule;
    this.#changed = changed;
  }

  /** Look every 2 s whether there is something new to judge. */
  start() {
    setInterval(() => this.look(), EVERY_MS);
  }

  /** Judge what there is, unless it was judged, or is being judged. */
  look() {
    const schedule = this.#schedule();
    if (schedule === null) return;
    const samples = Math.min(...this.#recordings.map(({ histogram }) => histogram.count));
    const names = schedule.names.join();
    const last = this.#judged;
    const same = names === last.names && samples >= last.samples && samples <= last.samples * MORE;
    if (this.#working || document.hidden || same) return;
    this.#judged = { samples, names };
    this.#working = true;
    const work = judge(this.#recordings, schedule);
    const slice = () => {
      const end = performance.now() + SLICE_MS;
      for (let step = work.next(); ; step = work.next()) {
        if (step.done) return this.#found(step.value);
        if (performance.now() >= end) return void idle(slice);
      }
    };
    idle(slice);
  }

  /** @param {Findings} findings */
  #found(findings) {
    this.#working = false;
    this.findings = findings;
    this.#changed();
  }
}

/** @param {() => void} work Safari has no idle callbacks */
function idle(work) {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(work, { timeout: 500 });
  else setTimeout(work, 50);
}

/**
 * Find how the two differ; yields wherever the work can be cut.
 * @param {[Recording, Recording]} recordings
 * @param {Schedule} schedule
 * @returns {Generator<undefined, Findings>}
 */
export function* judge([one, other], schedule) {
  const { websocket, sse, blocks } = pair(one, other, schedule);
  const samples = Math.min(websocket.block.length, sse.block.length);
  if (blocks < BLOCKS) return { ...NOTHING, blocks, samples };
  yield;
  const median = yield* difference(websocket, sse, blocks, 0.5);
  return { blocks, samples, median };
}

/**
 * @typedef {object} Findings
 * @property {number} blocks of time in which both sides had messages
 * @property {number} samples of the side that has fewer
 * @property {Interval | null} median WebSocket minus SSE
 */

/** Blocks without which no interval is to be believed. */
export const BLOCKS = 20;

/**
 * Milliseconds below which nobody is named. How two connections fall into the server's turns is settled when they open
 * and lasts as long as they do, so no interval within a run knows of it: by so much did one pair of the same page differ
 * from the next.
 */
export const FLOOR_MS = 0.5;

/**
 * Say which is faster. The one question is the median: of two, each asked at 95 %, one would be answered wrongly by chance
 * nearly twice as often.
 * @param {Findings} findings
 * @param {string[]} unlike why they cannot be compared; empty where they can
 * @param {string} waiting why there is nothing to compare yet
 */
export function verdict({ blocks, samples, median }, unlike, waiting) {
  if (unlike.length > 0) return `Not comparable: ${unlike.join("; ")}.`;
  if (samples === 0) return waiting;
  return blocks < BLOCKS || median === null ? tooFew(blocks) : claim(median);
}

/**
 * Say why there is nothing to compare yet.
 * @param {Recording[]} recordings
 * @param {boolean} open whether both are connected
 */
export function waiting(recordings, open) {
  if (!open) return "Connect both, and this line says which is faster here.";
  const uncounted = recordings.find(({ wire, histogram }) => wire.messages > 0 && histogram.count === 0);
  if (uncounted === undefined) return tooFew(0);
  if (uncounted.left.untimed < uncounted.wire.messages) return `Every message so far was left out: ${leftOut(uncounted)}.`;
  return "No message could be timed: the server's clock was not known. Where that stays so, see whether /api/time answers.";
}

/** @param {number} blocks */
function tooFew(blocks) {
  return `Too few messages yet: ${blocks} of the ${BLOCKS} stretches of time that a verdict needs.`;
}

/** @param {Interval} interval */
function claim({ low, middle, high }) {
  const name = middle < 0 ? "WebSocket" : "SSE";
  const [least, most] = [Math.abs(low), Math.abs(high)].sort((one, other) => one - other);
  const interval = `${amount(least)} to ${amount(most)} ms, 95 % interval`;
  if (low <= 0 && high >= 0) {
    return `No difference can be told (WebSocket is between ${ahead(low)} and ${ahead(high)}, 95 % interval).`;
  }
  if (least <= FLOOR_MS) {
    return `No difference can be told: ${name} is faster here (${interval}), but other connections may differ by ${FLOOR_MS} ms.`;
  }
  return `${name} is ${amount(Math.abs(middle))} ms faster at the median (${interval}).`;
}

/** @param {number} value WebSocket minus SSE, milliseconds */
function ahead(value) {
  return `${amount(Math.abs(value))} ms ${value < 0 ? "faster" : "slower"}`;
}

/** @param {number} value */
function amount(value) {
  if (value > 0 && value < 0.01) return "under 0.01";
  return value < 1 ? value.toFixed(2) : milliseconds(value);
}
