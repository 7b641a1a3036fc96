// @ts-check
/**
 * The view's controls: the time that the charts show, their pause, columns, and hidden cards. The address follows
 * each choice.
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
  #show;

  /**
   * @param {ParentNode} root
   * @param {Options} options which a choice changes
   * @param {(choice: Partial<Options>) => void} changed called after each choice
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
    this.#show = part(root, "show");
    this.#show.addEventListener("click", () => {
      this.#choose({ without: [] });
      // The button is gone, and the cards are back.
      part(root, "values").focus({ preventScroll: true });
    });
    this.#paint();
  }

  /**
   * Hide the card of a producer. The focus moves from its button to the one that shows it again.
   * @param {string} name
   */
  hide(name) {
    this.#choose({ without: [...this.#options.without, name] });
    this.#show.focus({ preventScroll: true });
  }

  /** @param {Partial<Options>} choice */
  #choose(choice) {
    Object.assign(this.#options, choice);
    history.replaceState(null, "", addressWith(location.href, this.#options));
    this.#paint();
    this.#changed(choice);
  }

  #paint() {
    const { window, columns, without } = this.#options;
    for (const button of this.#windows) {
      button.setAttribute("aria-pressed", String(button.dataset.window === String(window ?? "")));
    }
    this.#columns.value = String(columns ?? "");
    this.#pause.setAttribute("aria-pressed", String(this.isPaused));
    this.#show.hidden = without.length === 0;
  }
}
