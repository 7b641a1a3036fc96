// @ts-check
/**
 * Shows the verdict and the audit of its fairness.
 * @module views/verdict_panel
 */
import { commonProducers, meanPayload } from "../compare/comparable.js";
import { part, write } from "../dom.js";
import { audit, failures } from "../compare/parity.js";
import { verdictSentence, waitingSentence } from "../compare/verdict.js";

/** @typedef {import("../compare/comparable.js").Schedule} Schedule */
/** @typedef {import("../compare/connection_info.js").ConnectionInfoLoader} ConnectionInfoLoader */
/** @typedef {import("../compare/verdict.js").Comparison} Comparison */
/** @typedef {import("../compare/parity.js").Evidence} Evidence */
/** @typedef {import("../compare/parity.js").Line} Line */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../measure/resource_timing.js").ResourceTiming} ResourceTiming */

export class VerdictPanel {
  sentence = "";
  /** @type {Line[]} */
  lines = [];
  #root;
  #sides;
  #connectionInfo;
  #timing;
  #comparison;
  #schedule;

  /**
   * @param {HTMLElement} root
   * @param {Record<TransportName, Side>} sides
   * @param {Record<TransportName, ConnectionInfoLoader>} connectionInfo
   * @param {ResourceTiming} timing
   * @param {Comparison} comparison
   * @param {() => Schedule | null} schedule null while the list of producers is unknown
   */
  constructor(root, sides, connectionInfo, timing, comparison, schedule) {
    this.#root = root;
    this.#sides = sides;
    this.#connectionInfo = connectionInfo;
    this.#timing = timing;
    this.#comparison = comparison;
    this.#schedule = schedule;
  }

  /** Write the current verdict and audit. */
  paint() {
    const { findings } = this.#comparison;
    this.lines = audit(this.#evidence());
    // Until both have messages there is no comparison that could be invalid.
    const sides = Object.values(this.#sides);
    const recordings = sides.map(({ measurement }) => measurement.recording);
    const both = recordings.every(({ ring }) => ring.length > 0);
    const waiting = waitingSentence(recordings, sides.every(({ open }) => open));
    this.sentence = verdictSentence(findings, both ? failures(this.lines) : [], waiting);
    write(part(this.#root, "verdict-sentence"), this.sentence);
    const rows = part(this.#root, "audit").getElementsByTagName("li");
    this.lines.forEach((line, index) => paintLine(rows[index], line));
  }

  /** @returns {Evidence} */
  #evidence() {
    const { websocket, sse } = this.#sides;
    const schedule = this.#schedule();
    const info = this.#connectionInfo;
    const [one, other] = [websocket.measurement.recording, sse.measurement.recording];
    const names = commonProducers(one, other, schedule?.names ?? []);
    return {
      websocket: info.websocket.info,
      sse: info.sse.info,
      protocol: this.#timing.protocol,
      schedule,
      speeds: [websocket.selection.chosen.speed, sse.selection.chosen.speed],
      payload: [meanPayload(one, names), meanPayload(other, names)],
      missingReason: (info.websocket.info === null ? info.websocket : info.sse).missingReason,
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
