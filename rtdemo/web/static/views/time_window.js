// @ts-check
/**
 * Which part of the past the charts show, and whether they stand still.
 * @module views/time_window
 */

/** Seconds that the charts can show. */
export const WINDOWS = [60, 600];

export class View {
  /** Seconds shown. */
  window;
  /** @type {number | null} performance.now() at the Pause */
  paused = null;

  /** @param {string} search location.search */
  constructor(search) {
    const wanted = Number(new URLSearchParams(search).get("window"));
    this.window = WINDOWS.includes(wanted) ? wanted : WINDOWS[0];
  }

  /**
   * Stand still, or go on.
   * @param {number} now performance.now()
   */
  toggle(now) {
    this.paused = this.paused === null ? now : null;
  }

  /**
   * Tell what is shown. The right edge goes on by whole columns, so that what is drawn once stays as it is.
   * @param {number} now performance.now()
   * @param {number} columns of pixels
   * @returns {{ from: number, to: number }} performance.now()
   */
  range(now, columns) {
    const span = this.window * 1000;
    const step = span / Math.max(1, columns);
    const to = (Math.floor((this.paused ?? now) / step) + 1) * step;
    return { from: to - span, to };
  }
}
