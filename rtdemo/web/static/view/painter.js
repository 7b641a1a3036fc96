// @ts-check
/**
 * Paints the cards in animation frames, a few at a time if all of them take too long.
 * @module view/painter
 */

/** @typedef {import("./chart.js").Frame} Frame */
/** @typedef {{ paint: (frame: Frame, at: number) => void }} Painted a card, or an element; at: performance.now() */

/** Painting stops after this time, and goes on in the next frame. */
const BUDGET_MS = 8;
/** With reduced motion, time between two paintings. */
const CALM_MS = 1_000;

export class Painter {
  #cards;
  #frameAt;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #isDue = false;
  #paintedAt = -Infinity;
  /** Index of the card that was painted last. */
  #last = -1;

  /**
   * @param {() => Painted[]} cards
   * @param {(at: number) => Frame} frameAt what the charts show, at a time of performance.now()
   */
  constructor(cards, frameAt) {
    this.#cards = cards;
    this.#frameAt = frameAt;
  }

  /** Paint in the next frame. A hidden page runs none, and is painted once it is shown. */
  request = () => {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => this.#paint());
  };

  #paint() {
    this.#isDue = false;
    const at = performance.now();
    if (this.#calm.matches && at - this.#paintedAt < CALM_MS) return;
    const frame = this.#frameAt(at);
    const cards = this.#cards();
    for (let count = 0; count < cards.length; count += 1) {
      this.#last = (this.#last + 1) % cards.length;
      cards[this.#last].paint(frame, at);
      if (performance.now() - at > BUDGET_MS) return this.request();
    }
    this.#paintedAt = at;
  }
}
