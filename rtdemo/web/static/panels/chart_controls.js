// @ts-check
/**
 * The buttons of the charts: pause, and the time window.
 * @module panels/chart_controls
 */
import { part } from "../dom.js";
import { WINDOWS_S } from "./time_window.js";

/** @typedef {import("./time_window.js").TimeWindow} TimeWindow */

export class ChartControls {
  #root;
  #timeWindow;

  /**
   * @param {Document} root
   * @param {TimeWindow} timeWindow
   * @param {(soon?: boolean) => void} changed called after each press
   */
  constructor(root, timeWindow, changed) {
    this.#root = root;
    this.#timeWindow = timeWindow;
    const press = (/** @type {string} */ name, /** @type {() => void} */ action) => {
      part(root, name).addEventListener("click", () => {
        action();
        changed(true);
      });
    };
    press("pause", () => timeWindow.togglePause(performance.now()));
    for (const seconds of WINDOWS_S) press(`window-${seconds}`, () => (timeWindow.seconds = seconds));
  }

  /** Write the buttons' current states. */
  paint() {
    part(this.#root, "pause").setAttribute("aria-pressed", String(this.#timeWindow.pausedAt !== null));
    for (const seconds of WINDOWS_S) {
      part(this.#root, `window-${seconds}`).setAttribute("aria-pressed", String(this.#timeWindow.seconds === seconds));
    }
  }
}
