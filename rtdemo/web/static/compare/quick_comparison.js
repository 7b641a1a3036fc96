// @ts-check
/**
 * The button Compare: connects both sides, measures ten seconds at twenty times the rate, or twenty on a busy machine, and
 * then leaves both connected at the rate that was chosen before.
 * @module compare/quick_comparison
 */

import { MIN_BLOCKS } from "./verdict.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("./verdict.js").Comparison} Comparison */
/** @typedef {import("./verdict.js").Findings} Findings */
/** @typedef {"idle" | "connecting" | "measuring" | "judging" | "done"} Phase */

/** Factor on the rate of private producers meanwhile; the largest that the server allows. */
const SPEED = "20";
const SECONDS = 10;
const TICK_MS = 250;
/** A verdict takes one or two seconds of idle time, on a busy machine more; later the last one stays. */
const JUDGING_MS = 10_000;
/** Share of the blocks of a verdict from which ten seconds more complete them: a busy machine makes fewer. */
const NEARLY_ENOUGH = 0.5;

export class QuickComparison {
  /** @type {Phase} */
  phase = "idle";
  #sides;
  #comparison;
  #reset;
  #changed;
  #now;
  #since = 0;
  #prolonged = false;
  /** @type {string[]} speeds chosen before */
  #speeds = [];
  /** Those before the verdict. @type {Findings | null} */
  #findings = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /**
   * @param {Side[]} sides WebSocket and SSE
   * @param {Comparison} comparison
   * @param {(side: Side) => void} reset clears a side's figures, and what was derived from them
   * @param {(soon?: boolean) => void} changed called after each change that the page shows
   * @param {() => number} [now] milliseconds
   */
  constructor(sides, comparison, reset, changed, now = () => performance.now()) {
    this.#sides = sides;
    this.#comparison = comparison;
    this.#reset = reset;
    this.#changed = changed;
    this.#now = now;
  }

  get running() {
    return this.phase === "connecting" || this.phase === "measuring" || this.phase === "judging";
  }

  /** Share of the measuring time that has passed. @returns {number} from 0 to 1 */
  get progress() {
    if (this.phase === "measuring") return Math.min(1, (this.#now() - this.#since) / (SECONDS * 1000));
    return this.phase === "judging" || this.phase === "done" ? 1 : 0;
  }

  /** What happens now; empty when the verdict is to be shown. */
  get sentence() {
    if (this.phase === "connecting") return "Connecting both…";
    if (this.phase === "measuring") return `Measuring: ${Math.floor(this.progress * SECONDS)} of ${SECONDS} s…`;
    return this.phase === "judging" ? "Comparing…" : "";
  }

  /** Start from zero: figures of before are cleared, so that both sides cover the same time. */
  start() {
    this.stop();
    this.#speeds = this.#sides.map(({ selection }) => selection.chosen.speed);
    for (const side of this.#sides) {
      this.#reset(side);
      side.choose({ ...side.selection.chosen, speed: SPEED });
      side.connect();
    }
    this.#prolonged = false;
    this.#enter("connecting");
    this.#timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Stop early. The connections stay open. */
  stop() {
    if (!this.running) return;
    this.#restoreSpeeds();
    this.#enter("idle");
  }

  /** Enter the next phase if it is due; called four times a second. */
  tick() {
    const waited = this.#now() - this.#since;
    if (!this.#sides.every(({ active }) => active)) return this.stop();
    const open = this.#sides.every((side) => side.open);
    if (this.phase === "connecting" && open) this.#enter("measuring");
    else if (this.phase === "measuring" && !open) this.#enter("connecting");
    else if (this.phase === "measuring" && waited >= SECONDS * 1000) this.#judge();
    else if (this.phase === "judging" && (this.#comparison.findings !== this.#findings || waited > JUDGING_MS)) {
      if (this.#needsMore) this.#prolong();
      else this.#enter("done");
    }
    this.#changed();
  }

  get #needsMore() {
    const { blocks, p50 } = this.#comparison.findings;
    return p50 === null && blocks >= NEARLY_ENOUGH * MIN_BLOCKS && !this.#prolonged;
  }

  /** Measure ten seconds more, once. */
  #prolong() {
    this.#prolonged = true;
    this.#speeds = this.#sides.map(({ selection }) => selection.chosen.speed);
    for (const side of this.#sides) side.choose({ ...side.selection.chosen, speed: SPEED });
    this.#enter("measuring");
  }

  #judge() {
    this.#restoreSpeeds();
    this.#findings = this.#comparison.findings;
    this.#enter("judging");
    this.#comparison.update(true);
  }

  /** Keep a rate that the reader chose meanwhile. */
  #restoreSpeeds() {
    this.#sides.forEach((side, index) => {
      const { chosen } = side.selection;
      if (chosen.speed === SPEED) side.choose({ ...chosen, speed: this.#speeds[index] });
    });
  }

  /** @param {Phase} phase */
  #enter(phase) {
    this.phase = phase;
    this.#since = this.#now();
    if (!this.running) clearInterval(this.#timer);
    this.#changed(true);
  }
}
