// @ts-check
/**
 * Shows the audit of fairness, and its result in a few words.
 * @module panels/fairness_panel
 */
import { commonProducers, meanPayload } from "../compare/comparable.js";
import { part, write } from "../dom.js";
import { audit } from "../compare/parity.js";

/** @typedef {import("../compare/comparable.js").Schedule} Schedule */
/** @typedef {import("../compare/connection_info.js").ConnectionInfoLoader} ConnectionInfoLoader */
/** @typedef {import("../compare/parity.js").Evidence} Evidence */
/** @typedef {import("../compare/parity.js").Line} Line */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../measure/resource_timing.js").ResourceTiming} ResourceTiming */

export class FairnessPanel {
  /** @type {Line[]} */
  lines = [];
  #root;
  #sides;
  #connectionInfo;
  #timing;
  #schedule;

  /**
   * @param {HTMLElement} root
   * @param {Record<TransportName, Side>} sides
   * @param {Record<TransportName, ConnectionInfoLoader>} connectionInfo
   * @param {ResourceTiming} timing
   * @param {() => Schedule | null} schedule null while the list of producers is unknown
   */
  constructor(root, sides, connectionInfo, timing, schedule) {
    this.#root = root;
    this.#sides = sides;
    this.#connectionInfo = connectionInfo;
    this.#timing = timing;
    this.#schedule = schedule;
  }

  /** Write the current audit. */
  paint() {
    this.lines = audit(this.#evidence());
    const rows = part(this.#root, "audit").getElementsByTagName("li");
    this.lines.forEach((line, index) => paintLine(rows[index], line));
    const failed = this.lines.filter(({ result }) => result === "failed");
    const summary = part(this.#root, "fairness-summary");
    write(summary, summarise(this.lines, failed));
    summary.classList.toggle("alert", failed.length > 0);
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
 * @param {Line[]} lines
 * @param {Line[]} failed
 */
function summarise(lines, failed) {
  if (failed.length > 0) return `No: ${failed.map(({ name }) => name).join(", ")}`;
  const passed = lines.filter(({ result }) => result === "ok").length;
  if (passed === 0) return "checked once both are connected";
  return passed === lines.length ? `${passed} checks passed` : `${passed} of ${lines.length} checks passed, the rest unknown`;
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
