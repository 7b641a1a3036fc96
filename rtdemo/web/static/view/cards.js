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
/** Least height of a row, and most of all rows with one or two cards, rem: as in page.css. */
const ROW_REM = 15.5;
const MOST_REM = 60;
/** Width of a card, of its height, that suits a line over time. */
const SHAPE = 1.4;
/** Weight of the share of empty places: a quarter of all counts as much as cards that are twice as wide as by SHAPE. */
const EMPTY = 3;

export class Cards {
  #grid;
  #surroundings;
  /** @type {Map<ProducerData, Card>} */
  #byProducer = new Map();
  #isDue = false;

  /**
   * @param {HTMLElement} grid
   * @param {Surroundings} surroundings
   */
  constructor(grid, surroundings) {
    this.#grid = grid;
    this.#surroundings = surroundings;
    // The page changes its size with what is above the grid.
    const observer = new ResizeObserver(() => this.#balanceSoon());
    for (const element of [grid, document.body]) observer.observe(element);
    window.addEventListener("resize", () => this.#balanceSoon());
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
    this.#balanceSoon();
  }

  /** Choose the columns before the next frame, once for all that has changed. */
  #balanceSoon() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#balance();
    });
  }

  /** Let the cards fill the window, and rows be as even as possible. */
  #balance() {
    const count = this.#byProducer.size;
    if (count === 0) return;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const gap = parseFloat(getComputedStyle(this.#grid).columnGap);
    const width = this.#grid.clientWidth;
    const most = Math.max(1, Math.floor((width + gap) / (COLUMN_REM * rem + gap)));
    const seen = window.innerHeight - (this.#grid.getBoundingClientRect().top + window.scrollY);
    const height = count > 2 ? seen : Math.min(seen, MOST_REM * rem);
    const show = (/** @type {number} */ columns) => this.#grid.style.setProperty("--fitting", String(columns));
    const [best, widest] = [height, 0].map((room) => fittingColumns(count, { width, height: room, most, row: ROW_REM * rem }));
    show(best);
    // Rows may be higher than the least. With more of them, the page would scroll.
    const isCut = best !== widest && this.#grid.getBoundingClientRect().bottom > window.innerHeight - window.scrollY;
    if (isCut) show(widest);
  }

  /**
   * @param {number | null} columns null for those that fit the cards
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
