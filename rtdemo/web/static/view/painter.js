// @ts-check
/**
 * Paints the cards together, some times a second: faster figures cannot be read, and each frame that changes costs as much
 * again. A painting takes several frames, each with few cards: no task is long. Within a frame texts are written first, as
 * charts measure their labels, which lays out the page.
 * @module view/painter
 */
import { paintScheduler } from "../dom.js";

/** @typedef {import("./chart.js").Frame} Frame */

/**
 * @typedef {object} Painted a card, or an element of another page
 * @property {(frame: Frame) => void} write writes its texts
 * @property {(frame: Frame) => boolean} draw draws its chart if it has changed, and returns whether it did
 */

const INTERVAL_MS = 200;
/** The same with reduced motion. */
const CALM_INTERVAL_MS = 1_000;
/** A text that changes lays out its card, which takes 0.2 ms. */
const TEXTS_A_FRAME = 8;
/** Without a graphics card, a browser takes 0.5 to 1 ms more for each chart at the end of the frame. */
const CHARTS_A_FRAME = 2;

export class Painter {
  #cards;
  #frameAt;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #paintedAt = -Infinity;

  /**
   * @param {() => Painted[]} cards
   * @param {(at: number) => Frame} frameAt what the charts show, at a time of performance.now()
   */
  constructor(cards, frameAt) {
    this.#cards = cards;
    this.#frameAt = frameAt;
    const schedule = paintScheduler(() => this.#paint(), INTERVAL_MS);
    /** Paint soon. A hidden page is painted once it is shown. */
    this.request = () => schedule();
  }

  /** @returns {Generator<undefined, void>} yields after each frame */
  *#paint() {
    const at = performance.now();
    if (this.#calm.matches && at - this.#paintedAt < CALM_INTERVAL_MS) return;
    this.#paintedAt = at;
    const frame = this.#frameAt(at);
    const cards = this.#cards();
    for (let first = 0; first < cards.length; first += TEXTS_A_FRAME) {
      if (first > 0) yield;
      yield* paintSome(cards.slice(first, first + TEXTS_A_FRAME), frame);
    }
  }
}

/**
 * @param {Painted[]} cards whose texts are written in one frame
 * @param {Frame} frame
 * @returns {Generator<undefined, void>} yields after each frame
 */
function* paintSome(cards, frame) {
  for (const card of cards) card.write(frame);
  let drawn = 0;
  for (const card of cards) {
    if (drawn === CHARTS_A_FRAME) {
      yield;
      drawn = 0;
    }
    if (card.draw(frame)) drawn += 1;
  }
}
