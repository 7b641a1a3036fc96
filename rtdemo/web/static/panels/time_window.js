// @ts-check
/**
 * The time window of the charts: one minute or ten, live or paused.
 * @module panels/time_window
 */

/** Seconds that the charts can show. */
export const WINDOWS_S = [60, 600];

export class TimeWindow {
  /** Length, seconds. */
  seconds;
  /** @type {number | null} performance.now() at the Pause; null while live */
  pausedAt = null;

  /** @param {string} search location.search */
  constructor(search) {
    const wanted = Number(new URLSearchParams(search).get("window"));
    this.seconds = WINDOWS_S.includes(wanted) ? wanted : WINDOWS_S[0];
  }

  /**
   * Pause, or return to live.
   * @param {number} now performance.now()
   */
  togglePause(now) {
    this.pausedAt = this.pausedAt === null ? now : null;
  }

  /**
   * Return what is shown. The right edge advances by whole columns, so that a drawn column does not change.
   * @param {number} now performance.now()
   * @param {number} columns of pixels
   * @returns {{ from: number, to: number }} performance.now()
   */
  range(now, columns) {
    const span = this.seconds * 1000;
    const step = span / Math.max(1, columns);
    const to = (Math.floor((this.pausedAt ?? now) / step) + 1) * step;
    return { from: to - span, to };
  }
}
