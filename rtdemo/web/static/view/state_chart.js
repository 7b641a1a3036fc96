// @ts-check
/**
 * Draws a bool over time: a bar where it is true, a line where it is false, half a bar where it was both within one point,
 * nothing where it is not known.
 * @module view/state_chart
 */
import { drawCursor, drawTimes, setFont } from "./line_chart.js";

/** @typedef {import("../canvas.js").Plot} Plot */
/** @typedef {import("./line_chart.js").Points} Points */

/** @typedef {Points & { now: number }} Scene 1 for true, 0 for false; and until when the newest state lasts */

const FOOT_PX = 18;
const BAR_PX = 36;
const LINE_PX = 2;

/**
 * Draw the strip.
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 * @param {Scene} scene
 * @returns {Plot}
 */
export function drawStateChart(context, width, height, scene) {
  const { series, count, from, to, now, palette } = scene;
  setFont(context);
  const bar = Math.min(BAR_PX, height - FOOT_PX);
  const plot = { left: 0, top: height - FOOT_PX - bar, width, height: bar };
  const x = (/** @type {number} */ at) => plot.left + ((Math.max(at, from) - from) / (to - from)) * plot.width;
  context.fillStyle = palette.ink;
  const [least, most] = [series.low[0], series.high[0]];
  for (let index = Math.max(0, series.since(from) - 1); index < count && series.at[index] < to;) {
    const start = index;
    // One bar for all of a state: their seams would show.
    while (index < count && least[index] === least[start] && most[index] === most[start]) index += 1;
    if (Number.isNaN(most[start])) index += 1;
    else {
      const until = index < count ? series.at[index] : now;
      const [left, right] = [Math.round(x(series.at[start])), Math.round(x(Math.min(until, to)))];
      const size = least[start] > 0 ? bar : most[start] > 0 ? bar / 2 : LINE_PX;
      context.fillRect(left, plot.top + bar - size, Math.max(1, right - left), size);
    }
  }
  drawTimes(context, plot, scene);
  drawCursor(context, plot, { ...scene, palette: { ...palette, ink: palette.waiting } });
  return plot;
}
