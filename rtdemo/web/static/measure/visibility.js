// @ts-check
/**
 * Page visibility. Browsers delay timers and events of a hidden tab, so latency there measures the tab.
 * @module measure/visibility
 */

export class PageVisibility {
  /** @type {number} performance.now() when the page was last shown; Infinity while it is hidden */
  shownAt;

  /** @param {(hidden: boolean, at: number) => void} changed */
  constructor(changed) {
    this.shownAt = document.hidden ? Infinity : 0;
    document.addEventListener("visibilitychange", () => {
      const now = performance.now();
      this.shownAt = document.hidden ? Infinity : now;
      changed(document.hidden, now);
    });
  }

  /**
   * Return whether the page was hidden at or after a moment. Browsers may deliver messages of the hidden time only
   * after the page is shown again.
   * @param {number} since performance.now()
   */
  hiddenAfter(since) {
    return since < this.shownAt;
  }
}
