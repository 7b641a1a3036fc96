// @ts-check
/**
 * Whether somebody looks. In a hidden tab browsers delay timers and events, so what arrives there measures the tab.
 * @module measure/visibility
 */

export class Attention {
  /** @type {number} performance.now() when the page was shown last; Infinity while it is hidden */
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
   * Tell whether something was under way while nobody looked. What came in the dark may be handed over only after the
   * page is shown again.
   * @param {number} since performance.now() when it began
   */
  missed(since) {
    return since < this.shownAt;
  }
}
