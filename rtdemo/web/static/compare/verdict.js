// @ts-check
/**
 * The verdict: which transport is faster here. Computed at most every 2 s, in slices that delay no message, and written
 * as one sentence that claims no more than was measured.
 * @module compare/verdict
 */
import { milliseconds } from "../format.js";
import { leftOut } from "../measure/recording.js";
import { quantileDifference } from "./bootstrap.js";
import { pairSamples } from "./comparable.js";

/** @typedef {import("../measure/recording.js").Recording} Recording */
/** @typedef {import("./bootstrap.js").Interval} Interval */
/** @typedef {import("./comparable.js").Schedule} Schedule */

/**
 * @typedef {object} Findings
 * @property {number} blocks of time in which both sides had messages
 * @property {number} samples of the side that has fewer
 * @property {Interval | null} median WebSocket minus SSE, milliseconds
 */

const INTERVAL_MS = 2_000;
/** Growth of the sample count after which the comparison runs again; less would not change it. */
const RERUN_GROWTH = 1.03;
/** Bound on the time of a slice, and so on the delay of a message. */
const SLICE_MS = 4;

/** Blocks from which an interval is trusted. */
export const MIN_BLOCKS = 20;

/**
 * Milliseconds below which neither side is named. A connection's place in the server's turns is set when it opens and
 * stays, so no interval of one run covers it: one pair of connections of a page differed from the next by this much.
 */
export const MIN_DIFFERENCE_MS = 0.5;

/** @type {Findings} */
const NO_FINDINGS = { blocks: 0, samples: 0, median: null };

/** Runs the comparison again whenever there are enough new samples. */
export class Comparison {
  /** @type {Findings} */
  findings = NO_FINDINGS;
  #recordings;
  #schedule;
  #changed;
  #working = false;
  #last = { samples: 0, names: "" };

  /**
   * @param {[Recording, Recording]} recordings of WebSocket and SSE
   * @param {() => Schedule | null} schedule null while the list of producers is unknown
   * @param {() => void} changed called after new findings
   */
  constructor(recordings, schedule, changed) {
    this.#recordings = recordings;
    this.#schedule = schedule;
    this.#changed = changed;
  }

  /** Check every 2 s for new samples. */
  start() {
    setInterval(() => this.update(), INTERVAL_MS);
  }

  /** Compare, unless the samples are the same or a comparison is running. */
  update() {
    const schedule = this.#schedule();
    if (schedule === null) return;
    const samples = Math.min(...this.#recordings.map(({ histogram }) => histogram.count));
    const names = schedule.names.join();
    const last = this.#last;
    const same = names === last.names && samples >= last.samples && samples <= last.samples * RERUN_GROWTH;
    if (this.#working || document.hidden || same) return;
    this.#last = { samples, names };
    this.#working = true;
    const work = compare(this.#recordings, schedule);
    const slice = () => {
      const end = performance.now() + SLICE_MS;
      for (let step = work.next(); ; step = work.next()) {
        if (step.done) return this.#finish(step.value);
        if (performance.now() >= end) return void whenIdle(slice);
      }
    };
    whenIdle(slice);
  }

  /** @param {Findings} findings */
  #finish(findings) {
    this.#working = false;
    this.findings = findings;
    this.#changed();
  }
}

/** @param {() => void} work Safari has no idle callbacks */
function whenIdle(work) {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(work, { timeout: 500 });
  else setTimeout(work, 50);
}

/**
 * Compare two recordings. Yields wherever the work can be split.
 * @param {[Recording, Recording]} recordings
 * @param {Schedule} schedule
 * @returns {Generator<undefined, Findings>}
 */
export function* compare([one, other], schedule) {
  const { websocket, sse, blocks } = pairSamples(one, other, schedule);
  const samples = Math.min(websocket.block.length, sse.block.length);
  if (blocks < MIN_BLOCKS) return { ...NO_FINDINGS, blocks, samples };
  yield;
  const median = yield* quantileDifference(websocket, sse, blocks, 0.5);
  return { blocks, samples, median };
}

/**
 * Write the verdict. It compares only the median: of two questions at 95 % each, one would be answered wrongly by chance
 * nearly twice as often.
 * @param {Findings} findings
 * @param {string[]} failed why the sides cannot be compared; empty if they can
 * @param {string} waiting why there is nothing to compare yet
 */
export function verdictSentence({ blocks, samples, median }, failed, waiting) {
  if (failed.length > 0) return `Not comparable: ${failed.join("; ")}.`;
  if (samples === 0) return waiting;
  return blocks < MIN_BLOCKS || median === null ? tooFew(blocks) : claim(median);
}

/**
 * Explain why there is nothing to compare yet.
 * @param {Recording[]} recordings
 * @param {boolean} open whether both are connected
 */
export function waitingSentence(recordings, open) {
  if (!open) return "Connect both to see here which is faster.";
  const uncounted = recordings.find(({ wire, histogram }) => wire.messages > 0 && histogram.count === 0);
  if (uncounted === undefined) return tooFew(0);
  if (uncounted.left.untimed < uncounted.wire.messages) return `Every message so far was left out: ${leftOut(uncounted)}.`;
  return "No message could be timed: the server's clock is unknown. If this lasts, check that /api/time answers.";
}

/** @param {number} blocks */
function tooFew(blocks) {
  return `Too few messages yet: ${blocks} of the ${MIN_BLOCKS} blocks of time that a verdict needs.`;
}

/** @param {Interval} interval */
function claim({ low, middle, high }) {
  const name = middle < 0 ? "WebSocket" : "SSE";
  const [least, most] = [Math.abs(low), Math.abs(high)].sort((one, other) => one - other);
  const interval = `${amount(least)} to ${amount(most)} ms, 95 % interval`;
  if (low <= 0 && high >= 0) {
    return `No clear difference (WebSocket is between ${relative(low)} and ${relative(high)}, 95 % interval).`;
  }
  if (least <= MIN_DIFFERENCE_MS) {
    return `No clear difference: ${name} is faster here (${interval}), but other connections may differ by ${MIN_DIFFERENCE_MS} ms.`;
  }
  return `${name} is ${amount(Math.abs(middle))} ms faster at the median (${interval}).`;
}

/** @param {number} value WebSocket minus SSE, milliseconds */
function relative(value) {
  return `${amount(Math.abs(value))} ms ${value < 0 ? "faster" : "slower"}`;
}

/** @param {number} value milliseconds */
function amount(value) {
  if (value > 0 && value < 0.01) return "under 0.01";
  return value < 1 ? value.toFixed(2) : milliseconds(value);
}
