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
/** Least height of a row, rem: that of the style sheet, cards.css. */
const ROW_REM = 15.5;
/** Width of a card, of its height, that suits a line over time. */
const SHAPE = 1.4;
/** What empty places are worth: a quarter of all of them as much as a card that is twice as wide as it should be. */
const EMPTY = 3;

export class Cards {
  #grid;
  #surroundings;
  /** @type {Map<ProducerData, Card>} */
  #byProducer = new Map();
  /** Of the grid, without a scrollbar of the page; 0 while it is not known. */
  #width = 0;
  /** Number of columns for which there is room. */
  #most = 1;
  /** The size of letters, pixels. */
  #rem = 16;

  /**
   * @param {HTMLElement} grid
   * @param {Surroundings} surroundings
   */
  constructor(grid, surroundings) {
    this.#grid = grid;
    this.#surroundings = surroundings;
    const balance = () => this.#balance();
    // In the next frame: the height of the grid follows.
    new ResizeObserver(() => requestAnimationFrame(balance)).observe(grid);
    window.addEventListener("resize", () => requestAnimationFrame(balance));
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
    this.#balance();
  }

  /** Let the cards fill the window, and rows be as even as possible. */
  #balance() {
    // Columns that depended on the scrollbar, which depends on them, would change for ever.
    const width = this.#grid.clientWidth + window.innerWidth - document.documentElement.clientWidth;
    if (width !== this.#width) {
      this.#rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      const gap = parseFloat(getComputedStyle(this.#grid).columnGap);
      this.#most = Math.max(1, Math.floor((width + gap) / (COLUMN_REM * this.#rem + gap)));
      this.#width = width;
    }
    const height = window.innerHeight - (this.#grid.getBoundingClientRect().top + window.scrollY);
    const room = { width, height, most: this.#most, row: ROW_REM * this.#rem };
    this.#grid.style.setProperty("--fitting", String(fittingColumns(this.#byProducer.size, room)));
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

/**
 * Return the number of columns for some cards: of as few rows as there can be, or of more where all are seen without scrolling,
 * few places stay empty, and the cards have a better shape. So six cards on a wall are two rows of three, not six columns.
 * @param {number} count
 * @param {{ width: number, height: number, most: number, row: number }} room of the grid as far as the window shows it, pixels;
 *   the most columns that it is wide enough for; the least height of a row
 */
export function fittingColumns(count, { width, height, most, row }) {
  const columnsOf = (/** @type {number} */ rows) => Math.max(1, Math.ceil(count / rows));
  const misfit = (/** @type {number} */ rows) => {
    const columns = columnsOf(rows);
    return Math.abs(Math.log((width * rows) / (height * columns * SHAPE))) + EMPTY * (1 - count / (rows * columns));
  };
  const fewest = Math.max(1, Math.ceil(count / most));
  let best = fewest;
  for (let rows = fewest + 1; rows <= count && rows * row <= height; rows += 1) {
    if (misfit(rows) < misfit(best)) best = rows;
  }
  return columnsOf(best);
}
