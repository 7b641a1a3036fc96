// @ts-check
/**
 * The view's controls: the time that the charts show, their pause, and columns. The address follows each choice.
 * @module view/toolbar
 */
import { part, partOfType } from "../dom.js";
import { addressWith } from "./address.js";

/** @typedef {import("./address.js").Options} Options */

export class Toolbar {
  isPaused = false;
  #options;
  #changed;
  #windows;
  #columns;
  #pause;

  /**
   * @param {ParentNode} root
   * @param {Options} options which a choice changes
   * @param {() => void} changed called after each choice
   */
  constructor(root, options, changed) {
    this.#options = options;
    this.#changed = changed;
    this.#windows = /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-window]")]);
    this.#columns = partOfType(root, "columns", HTMLSelectElement);
    this.#pause = part(root, "pause");
    // Without a number it is what fits: of the time, and of the columns.
    for (const button of this.#windows) {
      button.addEventListener("click", () => this.#choose({ window: Number(button.dataset.window) || null }));
    }
    this.#columns.addEventListener("change", () => this.#choose({ columns: Number(this.#columns.value) || null }));
    this.#pause.addEventListener("click", () => {
      this.isPaused = !this.isPaused;
      this.#choose({});
    });
    this.#paint();
  }

  /** @param {Partial<Options>} choice */
  #choose(choice) {
    Object.assign(this.#options, choice);
    history.replaceState(null, "", addressWith(location.href, this.#options));
    this.#paint();
    this.#changed();
  }

  #paint() {
    const { window, columns } = this.#options;
    for (const button of this.#windows) {
      button.setAttribute("aria-pressed", String(button.dataset.window === String(window ?? "")));
    }
    this.#columns.value = String(columns ?? "");
    this.#pause.setAttribute("aria-pressed", String(this.isPaused));
  }
}
