// @ts-check
/**
 * Paints the cards together, some times a second: faster figures cannot be read, and each frame that changes costs as much
 * again. All texts are written first: a chart measures its labels, which lays out the page. Few charts are drawn in one
 * frame, and the others in the next ones.
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
/** Without a graphics card, a browser takes 2 to 3 ms more for each chart at the end of the frame. */
const CHARTS_A_FRAME = 4;

export class Painter {
  #cards;
  #frameAt;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #paintedAt = -Infinity;
  /** Cards whose charts are not drawn yet. @type {Painted[]} */
  #left = [];

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

  #paint() {
    const at = performance.now();
    if (this.#calm.matches && at - this.#paintedAt < CALM_INTERVAL_MS) return;
    // The last painting is still under way.
    if (this.#left.length > 0) return;
    this.#paintedAt = at;
    const frame = this.#frameAt(at);
    this.#left = this.#cards();
    for (const card of this.#left) card.write(frame);
    this.#draw(frame);
  }

  /** @param {Frame} frame */
  #draw(frame) {
    for (let drawn = 0; this.#left.length > 0 && drawn < CHARTS_A_FRAME; ) {
      if (this.#left.shift()?.draw(frame)) drawn += 1;
    }
    if (this.#left.length > 0) requestAnimationFrame(() => this.#draw(frame));
  }
}
