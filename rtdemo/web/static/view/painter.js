// @ts-check
/**
 * Paints the cards together, some times a second: faster figures cannot be read, and each frame that changes costs as much
 * again. A painting takes several frames, so that no task is long: in turns the texts of some cards, which lay out the page,
 * and then their charts.
 * @module view/painter
 */
import { paintScheduler } from "../dom.js";

/** @typedef {import("./chart.js").Frame} Frame */

/**
 * @typedef {object} Painted a card, or an element of another page
 * @property {(frame: Frame) => void} write writes its texts
 * @property {() => boolean} draw draws its chart as of the texts, if it has changed, and returns whether it did
 */

const INTERVAL_MS = 200;
/** The same with reduced motion. */
const CALM_INTERVAL_MS = 1_000;
/** Cards whose texts are written in one frame. Each text that changes takes 0.2 ms, and 2 ms more for the page. */
const TEXTS_A_FRAME = 4;
/**
 * Most frames for the charts of a painting, a third of a second. Up to so many have a frame each: without a graphics card, a
 * browser takes 2 ms for a chart, and ten times as long at some moments of a busy machine.
 */
const CHART_FRAMES = 20;

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
    const share = Math.ceil(cards.length / CHART_FRAMES);
    for (const some of groups(cards, Math.max(share, TEXTS_A_FRAME))) {
      for (const card of some) card.write(frame);
      if (cards.length > 1) yield;
      for (const few of groups(some, share)) {
        const drawn = few.filter((card) => card.draw());
        if (drawn.length > 0) yield;
      }
    }
  }
}

/**
 * @template T
 * @param {T[]} all
 * @param {number} size
 */
function groups(all, size) {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, group) => all.slice(group * size, (group + 1) * size));
}
