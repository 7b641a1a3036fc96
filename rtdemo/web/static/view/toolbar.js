// @ts-check
/**
 * The view's controls: the time that the charts show, their pause, columns, the arrangement of lines, and hidden cards. The
 * address follows each choice.
 * @module view/toolbar
 */
import { part, partOfType } from "../dom.js";
import { spanText } from "../value.js";
import { addressWith, arrangement } from "./address.js";

/** @typedef {import("./address.js").Options} Options */

export class Toolbar {
  isPaused = false;
  #options;
  #changed;
  #windows;
  #columns;
  #lines;
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
    showGiven(root, options.window);
    this.#windows = /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-window]")]);
    this.#columns = partOfType(root, "columns", HTMLSelectElement);
    this.#lines = partOfType(root, "lines", HTMLSelectElement);
    this.#pause = part(root, "pause");
    // Without a number it is what fits: of the time, and of the columns.
    for (const button of this.#windows) {
      button.addEventListener("click", () => this.#choose({ window: Number(button.dataset.window) || null }));
    }
    this.#columns.addEventListener("change", () => this.#choose({ columns: Number(this.#columns.value) || null }));
    this.#lines.addEventListener("change", () => this.#choose({ lines: arrangement(this.#lines.value) }));
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

  /**
   * Offer a choice for lines only where a chart has several.
   * @param {boolean} areSeveral
   */
  offerLines(areSeveral) {
    /** @type {HTMLElement} */ (this.#lines.parentElement).hidden = !areSeveral;
  }

  /** @param {Partial<Options>} choice */
  #choose(choice) {
    Object.assign(this.#options, choice);
    history.replaceState(null, "", addressWith(location.href, this.#options));
    this.#paint();
    this.#changed(choice);
  }

  #paint() {
    const { window, columns, lines, without } = this.#options;
    for (const button of this.#windows) {
      button.setAttribute("aria-pressed", String(button.dataset.window === String(window ?? "")));
    }
    this.#columns.value = String(columns ?? "");
    this.#lines.value = lines ?? "";
    this.#pause.textContent = this.isPaused ? "Resume" : "Pause";
    this.#show.hidden = without.length === 0;
  }
}

/**
 * Add a button for a time that the address gives, if there is none.
 * @param {ParentNode} root
 * @param {number | null} window seconds
 */
function showGiven(root, window) {
  if (window === null || root.querySelector(`[data-window="${window}"]`) !== null) return;
  const buttons = /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-window]")]);
  const before = buttons.findLast(({ dataset }) => Number(dataset.window) < window);
  const button = /** @type {HTMLElement | undefined} */ (before?.cloneNode());
  if (button === undefined) return;
  button.dataset.window = String(window);
  button.textContent = window % 60 === 0 ? spanText(window) : `${window} s`;
  before?.after(button);
}
