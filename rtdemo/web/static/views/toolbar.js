// @ts-check
/**
 * The buttons for both sides: connect, reset, and which part of the past the charts show.
 * @module views/toolbar
 */
import { part, write } from "../dom.js";
import { WINDOWS } from "./time_window.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("./time_window.js").View} View */

export class Toolbar {
  #root;
  #sides;
  #view;

  /**
   * @param {Document} root
   * @param {Side[]} sides
   * @param {View} view
   * @param {(soon?: boolean) => void} changed called after each press
   */
  constructor(root, sides, view, changed) {
    this.#root = root;
    this.#sides = sides;
    this.#view = view;
    const press = (/** @type {string} */ name, /** @type {() => void} */ action) => {
      part(root, name).addEventListener("click", () => {
        action();
        changed(true);
      });
    };
    press("both", () => this.#connectOrDisconnect());
    press("reset-both", () => {
      view.paused = null;
      sides.forEach((side) => side.reset());
    });
    press("pause", () => view.toggle(performance.now()));
    for (const seconds of WINDOWS) press(`window-${seconds}`, () => (view.window = seconds));
  }

  /** Write what the buttons would do now. */
  paint() {
    write(part(this.#root, "both"), this.#allActive ? "Disconnect both" : "Connect both");
    part(this.#root, "pause").setAttribute("aria-pressed", String(this.#view.paused !== null));
    for (const seconds of WINDOWS) {
      part(this.#root, `window-${seconds}`).setAttribute("aria-pressed", String(this.#view.window === seconds));
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
