// @ts-check
/**
 * The view of the verdict and of the audit beside it.
 * @module views/verdict_panel
 */
import { common, payload } from "../compare/comparable.js";
import { part, write } from "../dom.js";
import { audit, failures } from "../compare/parity.js";
import { verdict, waiting } from "../compare/verdict.js";

/** @typedef {import("../compare/comparable.js").Schedule} Schedule */
/** @typedef {import("../compare/connection_info.js").ConnectionFacts} ConnectionFacts */
/** @typedef {import("../compare/verdict.js").Judge} Judge */
/** @typedef {import("../compare/parity.js").Evidence} Evidence */
/** @typedef {import("../compare/parity.js").Line} Line */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../measure/resource_timing.js").Timing} Timing */

export class VerdictPanel {
  sentence = "";
  /** @type {Line[]} */
  lines = [];
  #root;
  #sides;
  #facts;
  #timing;
  #judge;
  #schedule;

  /**
   * @param {HTMLElement} root
   * @param {Record<TransportName, Side>} sides
   * @param {Record<TransportName, ConnectionFacts>} facts
   * @param {Timing} timing
   * @param {Judge} judge
   * @param {() => Schedule | null} schedule null while the list of producers is not known
   */
  constructor(root, sides, facts, timing, judge, schedule) {
    this.#root = root;
    this.#sides = sides;
    this.#facts = facts;
    this.#timing = timing;
    this.#judge = judge;
    this.#schedule = schedule;
  }

  /** Write what is known now. */
  paint() {
    const { findings } = this.#judge;
    this.lines = audit(this.#evidence());
    // Before both have messages nothing is compared, and so nothing is void.
    const sides = Object.values(this.#sides);
    const recordings = sides.map(({ measuring }) => measuring.recording);
    const both = recordings.every(({ ring }) => ring.length > 0);
    const wait = waiting(recordings, sides.every(({ open }) => open));
    this.sentence = verdict(findings, both ? failures(this.lines) : [], wait);
    write(part(this.#root, "verdict-sentence"), this.sentence);
    const rows = part(this.#root, "audit").getElementsByTagName("li");
    this.lines.forEach((line, index) => paintLine(rows[index], line));
  }

  /** @returns {Evidence} */
  #evidence() {
    const { websocket, sse } = this.#sides;
    const schedule = this.#schedule();
    const [one, other] = [websocket.measuring.recording, sse.measuring.recording];
    const names = common(one, other, schedule?.names ?? []);
    const silent = this.#facts.websocket.told === null ? this.#facts.websocket : this.#facts.sse;
    return {
      websocket: this.#facts.websocket.told,
      sse: this.#facts.sse.told,
      protocol: this.#timing.protocol,
      schedule,
      speeds: [websocket.control.chosen.speed, sse.control.chosen.speed],
      payload: [payload(one, names), payload(other, names)],
      untold: silent.untold,
    };
  }
}

/**
 * @param {HTMLElement} row
 * @param {Line} line
 */
function paintLine(row, { result, words }) {
  row.dataset.result = result;
  write(part(row, "result"), result);
  write(part(row, "words"), words);
}
