// @ts-check
/**
 * The grid of cards: one for each producer that is shown, and as many columns as are asked for.
 * @module view/cards
 */
import { Card } from "./card.js";

/** @typedef {import("./bodies.js").Surroundings} Surroundings */
/** @typedef {import("./producer_data.js").ProducerData} ProducerData */

export class Cards {
  #grid;
  #surroundings;
  /** @type {Map<ProducerData, Card>} */
  #byProducer = new Map();

  /**
   * @param {HTMLElement} grid
   * @param {Surroundings} surroundings
   */
  constructor(grid, surroundings) {
    this.#grid = grid;
    this.#surroundings = surroundings;
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
