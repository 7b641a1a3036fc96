// @ts-check
/**
 * Works the verdict out, at most every 2 s and in slices that hold no message up.
 * @module compare/verdict
 */
import { pair } from "./comparable.js";
import { difference } from "./bootstrap.js";
import { BLOCKS } from "./sentence.js";

/** @typedef {import("./comparable.js").Schedule} Schedule */
/** @typedef {import("../measure/recording.js").Recording} Recording */
/** @typedef {import("./sentence.js").Findings} Findings */

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
