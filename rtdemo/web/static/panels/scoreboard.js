// @ts-check
/**
 * Shows the answer: one sentence, the state of each side, and four figures with their differences.
 * @module panels/scoreboard
 */
import { MIN_BLOCKS, P99_MESSAGES, differenceText, outcome } from "../compare/verdict.js";
import { enable, onPress, part, partOfType, write } from "../dom.js";
import { NONE, count, margin, milliseconds } from "../format.js";
import { lossText } from "../measure/ledger_text.js";
import { TRANSPORT_LABELS, TRANSPORTS } from "../producers.js";
import { outage } from "./outage.js";

/** @typedef {import("../compare/bootstrap.js").Interval} Interval */
/** @typedef {import("../compare/comparable.js").Summary} Summary */
/** @typedef {import("../compare/quick_comparison.js").QuickComparison} QuickComparison */
/** @typedef {import("../compare/verdict.js").Comparison} Comparison */
/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {{ text: string, quiet?: boolean, alert?: boolean }} Cell quiet if it is rough: of few messages, or smaller than its error */

/** @type {Cell} */
const EMPTY = { text: NONE, quiet: true };

export class Scoreboard {
  #root;
  #sides;
  #comparison;
  #quick;
  #verdict;
  #title;
  #announced = "";
  #action = "Compare";

  /**
   * @param {Document} document
   * @param {Record<TransportName, Side>} sides
   * @param {Comparison} comparison
   * @param {QuickComparison} quick
   * @param {() => string} verdict the sentence of the current findings
   */
  constructor(document, sides, comparison, quick, verdict) {
    this.#root = part(document, "scoreboard");
    this.#sides = sides;
    this.#comparison = comparison;
    this.#quick = quick;
    this.#verdict = verdict;
    this.#title = document.title;
    onPress(part(this.#root, "compare"), () => this.#press());
    part(this.#root, "both").addEventListener("click", () => this.#connectOrDisconnect());
  }

  /** Write the current result. */
  paint() {
    const sides = TRANSPORTS.map((name) => ({ name: TRANSPORT_LABELS[name], side: this.#sides[name] }));
    const problem = outage(sides, performance.now());
    const sentence = problem?.sentence || this.#quick.sentence || this.#verdict();
    write(part(this.#root, "verdict-note"), this.#note(problem));
    this.#root.dataset.phase = this.#quick.phase;
    this.#root.dataset.problem = problem?.level ?? "none";
    write(part(this.#root, "verdict-sentence"), sentence);
    const title = problem === null ? this.#title : `⚠ ${problem.title} · rtdemo`;
    if (document.title !== title) document.title = title;
    partOfType(this.#root, "progress", HTMLProgressElement).value = this.#quick.progress;
    this.#paintAction();
    write(part(this.#root, "both"), this.#allActive ? "Disconnect both" : "Connect both");
    for (const name of TRANSPORTS) this.#paintState(name);
    this.#paintCells();
    this.#announce(problem === null && !this.#quick.running ? this.#claim : "");
  }

  /** Show what the main button does now; a press does what is shown. */
  #paintAction() {
    const sides = TRANSPORTS.map((name) => this.#sides[name]);
    const isDown = sides.some(({ state }) => state === "reconnecting" || state === "stalled");
    if (this.#quick.running) this.#action = "Stop";
    else if (isDown) this.#action = "Try now";
    else this.#action = this.#quick.phase === "done" ? "Compare again" : "Compare";
    const button = part(this.#root, "compare");
    write(button, this.#action);
    enable(button, this.#action !== "Try now" || sides.some(({ canRetry }) => canRetry));
  }

  #press() {
    if (this.#action === "Try now") return TRANSPORTS.forEach((name) => this.#sides[name].retryNow());
    if (this.#action === "Stop") this.#quick.stop();
    else this.#quick.start();
  }

  /**
   * Return what the figures are of, or the verdict before a problem.
   * @param {import("./outage.js").Outage | null} problem
   */
  #note(problem) {
    const { summaries, p50, p99, blocks } = this.#comparison.findings;
    if (summaries === null || this.#quick.running) return "";
    if (problem !== null) return p50 === null ? "" : `Before that: ${this.#verdict()}`;
    const [websocket, sse] = summaries.map((each) => count(each.count));
    if (p50 === null) return `Of ${websocket} and ${sse} messages: ${blocks} of ${MIN_BLOCKS} blocks of time.`;
    const figures = `Of ${websocket} and ${sse} messages so far`;
    const goesOn = this.#quick.phase === "done" && this.#allActive;
    if (p99 !== null) return goesOn ? `${figures}. Both go on at the normal rate.` : `${figures}.`;
    const enough = `${count(P99_MESSAGES)} of each`;
    return goesOn
      ? `${figures}. Both go on at the normal rate; p99 follows after ${enough}.`
      : `${figures}; p99 needs ${enough}.`;
  }

  get #allActive() {
    return TRANSPORTS.every((name) => this.#sides[name].active);
  }

  #connectOrDisconnect() {
    const active = this.#allActive;
    for (const name of TRANSPORTS) {
      if (active) this.#sides[name].disconnect();
      else this.#sides[name].connect();
    }
  }

  /** @param {TransportName} name */
  #paintState(name) {
    const head = part(this.#root, `score-${name}`);
    head.dataset.state = this.#sides[name].state;
    write(part(head, "score-state"), this.#sides[name].state);
  }

  #paintCells() {
    const { summaries, p50, p99 } = this.#comparison.findings;
    TRANSPORTS.forEach((name, index) => {
      const { stats } = this.#sides[name].measurement;
      const summary = summaries?.[index] ?? null;
      this.#cell(`${name}-p50`, latency(summary?.p50 ?? null, summary));
      const p99 = latency(summary?.p99 ?? null, summary);
      this.#cell(`${name}-p99`, summary !== null && summary.count < P99_MESSAGES ? { ...p99, quiet: true } : p99);
      this.#cell(`${name}-bytes`, summary === null ? EMPTY : { text: `${count(summary.bytes)} B` });
      const lost = lossText(stats);
      this.#cell(`${name}-lost`, stats.received === 0 ? EMPTY : { text: lost, alert: lost !== count(0) });
    });
    this.#cell("difference-p50", difference(p50));
    this.#cell("difference-p99", difference(p99));
    this.#cell("difference-lost", { text: "" });
    this.#cell("difference-bytes", summaries === null ? EMPTY : { text: fewerBytes(summaries) });
  }

  /**
   * @param {string} name
   * @param {Cell} cell
   */
  #cell(name, { text, quiet = false, alert = false }) {
    const cell = part(this.#root, name);
    write(cell, text);
    cell.classList.toggle("quiet", quiet);
    cell.classList.toggle("alert", alert);
  }

  /** What a screen reader is told once: a verdict, and losses. */
  get #claim() {
    const { p50 } = this.#comparison.findings;
    const lost = TRANSPORTS.map((name) => ({ name, text: lossText(this.#sides[name].measurement.stats) }));
    const losses = lost.filter(({ text }) => text !== count(0)).map(({ name, text }) => `${TRANSPORT_LABELS[name]} lost ${text}.`);
    return [p50 === null ? "" : this.#verdict(), ...losses].filter(Boolean).join(" ");
  }

  /**
   * Announce an outcome once, not each time that its figures change; after a new comparison again.
   * @param {string} claim empty if there is nothing to announce
   */
  #announce(claim) {
    if (this.#quick.running) {
      this.#announced = "";
      write(part(this.#root, "verdict-announcement"), "");
    }
    const { p50, p99 } = this.#comparison.findings;
    const losses = TRANSPORTS.filter((name) => lossText(this.#sides[name].measurement.stats) !== count(0));
    const key = claim === "" ? "" : `${p50 && outcome(p50)} ${p99 && outcome(p99)} ${losses}`;
    if (key === "" || key === this.#announced) return;
    this.#announced = key;
    write(part(this.#root, "verdict-announcement"), claim);
  }
}

/**
 * @param {number | null} value milliseconds
 * @param {Summary | null} summary
 * @returns {Cell}
 */
function latency(value, summary) {
  if (value === null || summary === null) return EMPTY;
  return { text: `${milliseconds(value)} ± ${margin(summary.error)} ms`, quiet: Math.abs(value) <= summary.error };
}

/**
 * @param {Interval | null} interval
 * @returns {Cell}
 */
function difference(interval) {
  if (interval === null) return EMPTY;
  const found = outcome(interval);
  return { text: differenceText(interval), quiet: found === "equal" || found === "unclear" };
}

/** @param {[Summary, Summary]} summaries */
function fewerBytes([websocket, sse]) {
  // The difference of the shown figures: another one would look like an error.
  const fewer = Math.round(sse.bytes) - Math.round(websocket.bytes);
  return fewer === 0 ? "the same" : `${fewer > 0 ? "WebSocket" : "SSE"} ${count(Math.abs(fewer))}\u00a0B\u00a0less`;
}
