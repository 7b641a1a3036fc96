// @ts-check
/**
 * The buttons for both sides: connect, reset, and the time window of the charts.
 * @module views/toolbar
 */
import { part, write } from "../dom.js";
import { WINDOWS_S } from "./time_window.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("./time_window.js").TimeWindow} TimeWindow */

export class Toolbar {
  #root;
  #sides;
  #timeWindow;

  /**
   * @param {Document} root
   * @param {Side[]} sides
   * @param {TimeWindow} timeWindow
   * @param {(soon?: boolean) => void} changed called after each press
   */
  constructor(root, sides, timeWindow, changed) {
    this.#root = root;
    this.#sides = sides;
    this.#timeWindow = timeWindow;
    const press = (/** @type {string} */ name, /** @type {() => void} */ action) => {
      part(root, name).addEventListener("click", () => {
        action();
        changed(true);
      });
    };
    press("both", () => this.#connectOrDisconnect());
    press("reset-both", () => {
      timeWindow.pausedAt = null;
      sides.forEach((side) => side.reset());
    });
    press("pause", () => timeWindow.togglePause(performance.now()));
    for (const seconds of WINDOWS_S) press(`window-${seconds}`, () => (timeWindow.seconds = seconds));
  }

  /** Write the buttons' current labels and states. */
  paint() {
    write(part(this.#root, "both"), this.#allActive ? "Disconnect both" : "Connect both");
    part(this.#root, "pause").setAttribute("aria-pressed", String(this.#timeWindow.pausedAt !== null));
    for (const seconds of WINDOWS_S) {
      part(this.#root, `window-${seconds}`).setAttribute("aria-pressed", String(this.#timeWindow.seconds === seconds));
    }
  }

  get #allActive() {
    return this.#sides.every(({ active }) => active);
  }

  #connectOrDisconnect() {
    const active = this.#allActive;
    for (const side of this.#sides) {
      if (active) side.disconnect();
      else side.connect();
    }
  }
}
