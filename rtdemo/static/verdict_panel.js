// @ts-check
/**
 * The view of the verdict and of the audit beside it.
 * @module verdict_panel
 */
import { payload } from "./comparable.js";
import { part, write } from "./page.js";
import { audit, failures } from "./parity.js";
import { verdict } from "./verdict.js";

/** @typedef {import("./comparable.js").Schedule} Schedule */
/** @typedef {import("./facts.js").ConnectionFacts} ConnectionFacts */
/** @typedef {import("./judge.js").Judge} Judge */
/** @typedef {import("./parity.js").Line} Line */
/** @typedef {import("./producers.js").TransportName} TransportName */
/** @typedef {import("./side.js").Side} Side */
/** @typedef {import("./timing.js").Timing} Timing */

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
    const both = Object.values(this.#sides).every(({ measuring }) => measuring.recording.ring.length > 0);
    this.sentence = verdict(findings, both ? failures(this.lines) : []);
    write(part(this.#root, "verdict-sentence"), this.sentence);
    const rows = this.#root.querySelectorAll("[data-part='audit'] li");
    this.lines.forEach((line, index) => paintLine(/** @type {HTMLElement} */ (rows[index]), line));
  }

  #evidence() {
    const { websocket, sse } = this.#sides;
    const schedule = this.#schedule();
    const [one, other] = [websocket, sse].map(({ measuring }) => payload(measuring.recording, schedule?.names ?? []));
    return {
      websocket: this.#facts.websocket.told,
      sse: this.#facts.sse.told,
      protocol: this.#timing.protocol,
      schedule,
      speeds: /** @type {[string, string]} */ ([websocket.control.chosen.speed, sse.control.chosen.speed]),
      payload: /** @type {[number | null, number | null]} */ ([one.mean, other.mean]),
      same: one.producers.join() === other.producers.join(),
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
