// @ts-check
/**
 * Page visibility. Browsers delay timers and events of a hidden tab, so latency there measures the tab.
 * @module measure/visibility
 */

/** Time before a tab is hidden in which messages may be under way to it. */
const UNDER_WAY_MS = 2_000;

export class PageVisibility {
  #isHidden = document.hidden;
  /** performance.now() when the page was last hidden and last shown. */
  #hiddenAt = -Infinity;
  #shownAt = -Infinity;

  /** @param {(hidden: boolean, at: number) => void} changed */
  constructor(changed) {
    document.addEventListener("visibilitychange", () => {
      const now = performance.now();
      this.#isHidden = document.hidden;
      if (this.#isHidden) this.#hiddenAt = now;
      else this.#shownAt = now;
      changed(this.#isHidden, now);
    });
  }

  /**
   * Return whether a message that arrives now waited in a hidden tab. Browsers may deliver messages of the hidden time
   * only after the page is shown again. A message from long before that time did not wait for the tab: a clock was set.
   * @param {number} sentAt performance.now() when it was sent
   */
  delays(sentAt) {
    return this.#isHidden || (sentAt < this.#shownAt && sentAt >= this.#hiddenAt - UNDER_WAY_MS);
  }
}
