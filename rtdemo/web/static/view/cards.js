// @ts-check
/**
 * The grid of cards: one for each producer that is shown, and as many columns as are asked for.
 * @module view/cards
 */
import { Card } from "./card.js";

/** @typedef {import("./bodies.js").Surroundings} Surroundings */
/** @typedef {import("./producer_data.js").ProducerData} ProducerData */

/** Least width of a column, rem. */
const COLUMN_REM = 21;

export class Cards {
  #grid;
  #surroundings;
  /** @type {Map<ProducerData, Card>} */
  #byProducer = new Map();
  /** Of the grid; 0 while it is not known. */
  #width = 0;
  /** Number of columns for which there is room. */
  #most = 1;

  /**
   * @param {HTMLElement} grid
   * @param {Surroundings} surroundings
   */
  constructor(grid, surroundings) {
    this.#grid = grid;
    this.#surroundings = surroundings;
    new ResizeObserver(([{ contentRect }]) => {
      // In the next frame: the height of the grid follows.
      if (contentRect.width !== this.#width) requestAnimationFrame(() => this.#balance(contentRect.width));
    }).observe(grid);
  }

  get all() {
    return [...this.#byProducer.values()];
  }

  /**
   * Add the cards that are missing, and remove those of other producers.
   * @param {ProducerData[]} sorted all producers that are shown, in the order of their cards
   */
  place(sorted) {
    const shown = new Set(sorted);
    for (const [data, { element }] of this.#byProducer) {
      if (shown.has(data)) continue;
      element.remove();
      this.#byProducer.delete(data);
    }
    sorted.forEach((data, index) => {
      if (this.#byProducer.has(data)) return;
      const card = new Card(data, this.#surroundings);
      this.#byProducer.set(data, card);
      this.#grid.insertBefore(card.element, this.#grid.children[index] ?? null);
    });
    this.#grid.dataset.count = String(sorted.length);
    this.#balance(this.#width || this.#grid.clientWidth);
  }

  /**
   * Let rows be as even as possible: four cards are two rows of two, not of three and one.
   * @param {number} width of the grid
   */
  #balance(width) {
    if (width !== this.#width) {
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      const gap = parseFloat(getComputedStyle(this.#grid).columnGap);
      this.#most = Math.max(1, Math.floor((width + gap) / (COLUMN_REM * rem + gap)));
      this.#width = width;
    }
    const count = Math.max(1, this.#byProducer.size);
    const rows = Math.ceil(count / this.#most);
    this.#grid.style.setProperty("--fitting", String(Math.ceil(count / rows)));
  }

  /**
   * @param {number | null} columns null for as many as fit
   * @param {boolean} mayHide whether cards have a button that hides them
   */
  arrange(columns, mayHide) {
    this.#grid.toggleAttribute("data-may-hide", mayHide);
    this.#grid.toggleAttribute("data-columns", columns !== null);
    this.#grid.style.setProperty("--columns", String(columns ?? ""));
  }
}
