// @ts-check
/**
 * Shows the buttons that inject faults into one side's connection.
 * @module panels/faults_panel
 */
import { enable, onPress, part, write } from "../dom.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../measure/faults.js").Fault} Fault */

/** @type {Fault[]} */
const FAULTS = ["cut", "stop", "delay"];

export class FaultsPanel {
  #root;
  #side;

  /**
   * @param {HTMLElement} root
   * @param {Side} side
   */
  constructor(root, side) {
    this.#root = root;
    this.#side = side;
    for (const kind of FAULTS) onPress(part(root, kind), () => side.injectFault(kind));
  }

  /** Write what is possible, and why the last request had no effect. */
  paint() {
    const { open, measurement } = this.#side;
    const { kind: current, pending, refusal } = measurement.faults;
    const can = (/** @type {Fault} */ kind) => current === null || (current === kind && kind === "delay");
    for (const kind of FAULTS) enable(part(this.#root, kind), open && !pending && can(kind));
    part(this.#root, "delay").setAttribute("aria-pressed", String(current === "delay"));
    const note = part(this.#root, "faults-note");
    write(note, refusal || (open ? "" : (note.dataset.hint ?? "")));
    note.classList.toggle("alert", refusal !== "");
  }
}
