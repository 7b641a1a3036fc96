// @ts-check
/**
 * The verdict: which transport is faster here. Computed at most every 2 s, in slices that delay no message, and written
 * as one sentence that claims no more than was measured.
 * @module compare/verdict
 */
import { margin, milliseconds } from "../format.js";
import { settledCount } from "../measure/histogram.js";
import { leftOut } from "../measure/recording.js";
import { quantileDifference } from "./bootstrap.js";
import { pairSamples } from "./comparable.js";

/** @typedef {import("../measure/recording.js").Recording} Recording */
/** @typedef {import("./bootstrap.js").Interval} Interval */
/** @typedef {import("./comparable.js").Schedule} Schedule */
/** @typedef {import("./comparable.js").Summary} Summary */

/**
 * @typedef {object} Findings
 * @property {number} blocks of time in which both sides had messages
 * @property {[Summary, Summary] | null} summaries of WebSocket and SSE; null if there is nothing to compare
 * @property {Interval | null} p50 WebSocket minus SSE, milliseconds; null while there are too few blocks
 * @property {Interval | null} p99 null while there are too few samples
 */

const INTERVAL_MS = 2_000;
/** Growth of the sample count after which the comparison runs again; less would not change it. */
const RERUN_GROWTH = 1.03;
/** Bound on the time of a slice, and so on the delay of a message. */
const SLICE_MS = 4;

/** Blocks from which an interval is trusted. */
export const MIN_BLOCKS = 20;

/**
 * Milliseconds below which neither side is named. No interval covers what stays the same during one run: one pair of
 * connections of a page differed from the next by this much.
 */
const MIN_DIFFERENCE_MS = 0.5;

/** Milliseconds up to which a difference counts as none: no reader sees it on a page. */
const EQUAL_MS = 1;

/** Milliseconds from which on figures have no decimals. */
const WHOLE_FROM_MS = 99.95;

/** Less than this below a tenth counts as that tenth. */
const ROUNDING = 1e-6;

/**
 * Messages of each side from which p99 is compared, ten of them beyond it, and the part of the draws beyond each end of its
 * interval: none. Slow messages are near each other, so chance decides which side has more of them. Where bursts slow down
 * 5 % of the messages, 42 of 300 comparisons of a transport with itself named a side with 100 messages and 95 % intervals;
 * 0 to 2 do with these bounds.
 */
export const P99_MESSAGES = settledCount(99);
const P99_TAIL = 0;

/** The sentence before both are connected. */
const INVITATION = "Press Compare: ten seconds show which is faster here.";

const TOO_FEW = "Too few messages for a verdict yet. Compare takes ten seconds.";

/** @type {Findings} */
const NO_FINDINGS = { blocks: 0, summaries: null, p50: null, p99: null };

/** Runs the comparison again whenever there are enough new samples. */
export class Comparison {
  /** @type {Findings} */
  findings = NO_FINDINGS;
  #recordings;
  #schedule;
  #changed;
  /** The comparison that is running. @type {Generator<undefined, Findings> | null} */
  #work = null;
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

  /**
   * Compare, unless the samples are the same or a comparison is running.
   * @param {boolean} [again] also with samples that hardly changed, and instead of a comparison that is running
   */
  update(again = false) {
    const schedule = this.#schedule();
    if (schedule === null) return;
    const samples = Math.min(...this.#recordings.map(({ histogram }) => histogram.count));
    const names = schedule.names.join();
    const last = this.#last;
    const same = names === last.names && samples >= last.samples && samples <= last.samples * RERUN_GROWTH;
    if (document.hidden || ((same || this.#work !== null) && !again)) return;
    this.#last = { samples, names };
    const work = (this.#work = compare(this.#recordings, schedule));
    const slice = () => {
      if (this.#work !== work) return;
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
    this.#work = null;
    this.findings = findings;
    this.#changed();
  }

  /** Forget the findings, and drop a comparison that is running: the samples were cleared. */
  clear() {
    this.#work = null;
    this.#last = { samples: 0, names: "" };
    this.findings = NO_FINDINGS;
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
  const { websocket, sse, summaries, blocks } = yield* pairSamples(one, other, schedule);
  if (blocks < MIN_BLOCKS || summaries === null) return { ...NO_FINDINGS, blocks, summaries };
  yield;
  const p50 = yield* quantileDifference(websocket, sse, blocks, 0.5);
  const enough = summaries.every(({ count }) => count >= P99_MESSAGES);
  const p99 = enough ? yield* quantileDifference(websocket, sse, blocks, 0.99, P99_TAIL) : null;
  return { blocks, summaries, p50, p99 };
}

/** @typedef {"websocket" | "sse" | "equal" | "unclear"} Outcome */

/**
 * Judge a difference. A side is named only if the whole interval is beyond the floor.
 * @param {Interval} interval
 * @returns {Outcome}
 */
export function outcome({ low, high }) {
  if (low > MIN_DIFFERENCE_MS) return "sse";
  if (high < -MIN_DIFFERENCE_MS) return "websocket";
  return Math.max(-low, high) <= EQUAL_MS ? "equal" : "unclear";
}

/** @typedef {{ metric: "p50" | "p99", interval: Interval, found: Outcome }} Difference */

/**
 * Write the verdict, by the rule of `rtdemo bench` and in its words. Of two questions at 95 % each, one would be answered
 * wrongly by chance nearly twice as often; but the interval of p99 is that of all draws.
 * @param {Findings} findings
 * @param {string[]} failed why the sides cannot be compared; empty if they can
 * @param {string} waiting why there is nothing to compare yet
 */
export function verdictSentence({ summaries, p50, p99 }, failed, waiting) {
  if (failed.length > 0) return `Not comparable: ${failed.join("; ")}.`;
  if (summaries === null) return waiting;
  if (p50 === null) return TOO_FEW;
  /** @type {Difference} */
  const median = { metric: "p50", interval: p50, found: outcome(p50) };
  return p99 === null ? sentence([median]) : sentence([{ metric: "p99", interval: p99, found: outcome(p99) }, median]);
}

/**
 * Both percentiles must be equal for the sides to be equally fast. A side that is faster at p99 is named first.
 * @param {Difference[]} differences p99, if there are enough messages for it, and p50
 */
function sentence(differences) {
  const named = differences.filter(({ found }) => found === "websocket" || found === "sse");
  const equal = differences.filter(({ found }) => found === "equal");
  const open = differences.filter(({ found }) => found === "unclear").map(({ metric }) => `${metric} is not decided`);
  if (differences.length === 1) open.push("p99 needs more messages");
  if (named.length > 0) return namedSentence(named, equal, open);
  if (equal.length === 0) {
    const [{ metric, interval }] = differences;
    return `Not decided: the difference at ${metric} is under ${margin(largest(interval))} ms.`;
  }
  const most = `difference under ${margin(Math.max(...equal.map(({ interval }) => largest(interval))))} ms`;
  if (open.length === 0) return `Equally fast here (${most}).`;
  return `Equally fast here at ${equal[0].metric} (${most}); ${open[0]}.`;
}

/**
 * @param {Difference[]} named that name a side
 * @param {Difference[]} equal
 * @param {string[]} open what is not decided
 */
function namedSentence([one, other], equal, open) {
  const first = `${faster(one)} at ${one.metric}`;
  if (other !== undefined && other.found !== one.found) return `${first}, but ${faster(other)} at ${other.metric}.`;
  if (one.metric === "p99") return `${first}.`;
  const alike = equal.map(({ interval }) => `p99 differs by under ${margin(largest(interval))} ms`);
  return `${[first, ...alike, ...open].join("; ")}.`;
}

/** @param {Difference} difference that names a side */
function faster({ interval: { low, high }, found }) {
  return found === "sse" ? `SSE is ${range(low, high)} ms faster` : `WebSocket is ${range(-high, -low)} ms faster`;
}

/**
 * Write a difference for the scoreboard.
 * @param {Interval} interval
 */
export function differenceText(interval) {
  const { low, high } = interval;
  const found = outcome(interval);
  if (found === "websocket") return `WebSocket ${range(-high, -low)} ms faster`;
  if (found === "sse") return `SSE ${range(low, high)} ms faster`;
  if (found === "unclear") return "not decided";
  return `under ${margin(largest(interval))} ms`;
}

/**
 * Explain why there is nothing to compare yet.
 * @param {Recording[]} recordings
 * @param {boolean} open whether both are connected
 */
export function waitingSentence(recordings, open) {
  if (!open) return INVITATION;
  const uncounted = recordings.find(({ wire, histogram }) => wire.messages > 0 && histogram.count === 0);
  if (uncounted === undefined) return TOO_FEW;
  if (uncounted.left.untimed < uncounted.wire.messages) return `Every message so far was left out: ${leftOut(uncounted)}.`;
  return "No message could be timed: the server's clock is unknown. If this lasts, check that /api/time answers.";
}

/**
 * Write both ends, the smaller one rounded down and the larger one up: the claim is never narrower than the interval. One
 * number if both look alike.
 * @param {number} least milliseconds
 * @param {number} most milliseconds
 */
function range(least, most) {
  const tenths = Math.floor(least * 10 + ROUNDING) / 10;
  const [from, to] = [milliseconds(tenths < WHOLE_FROM_MS ? tenths : Math.floor(least)), margin(most)];
  return from === to ? from : `${from} to ${to}`;
}

/**
 * Return the largest difference that the interval allows, and at least the floor.
 * @param {Interval} interval
 */
function largest({ low, high }) {
  return Math.max(-low, high, MIN_DIFFERENCE_MS);
}
