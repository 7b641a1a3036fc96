// @ts-check
/**
 * Draws both histograms, one over the other: the share of the messages at each latency.
 * @module panels/histogram_chart
 */
import { readingText } from "../format.js";
import { BUCKETS, bucketEdge } from "../measure/histogram.js";
import { decades, place } from "./latency_scale.js";

/** @typedef {import("../measure/histogram.js").Histogram} Histogram */
/** @typedef {import("../canvas.js").Palette} Palette */
/** @typedef {import("../canvas.js").Plot} Plot */
/** @typedef {{ name: string, side: "websocket" | "sse", histogram: Histogram, error: number | null }} Curve */

const FONT = "11px system-ui, sans-serif";
const HEAD_PX = 40;
const FOOT_PX = 20;
/** Buckets in a step of the curve: 8 % of latency, about six pixels. */
const BUCKETS_PER_STEP = 4;

/**
 * Draw the curves. The highest step of both fills the height, so that their heights compare.
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 * @param {{ curves: Curve[], top: number, palette: Palette }} scene
 */
export function drawHistogramChart(context, width, height, { curves, top, palette }) {
  context.font = FONT;
  const plot = { left: 0, top: HEAD_PX, width, height: height - HEAD_PX - FOOT_PX };
  const x = (/** @type {number} */ value) => place(value, top) * (plot.width - 1);
  drawScale(context, plot, top, palette, x);
  const shares = curves.map(({ histogram }) => sharesOf(histogram));
  const highest = Math.max(...shares.flat(), Number.EPSILON);
  curves.forEach(({ side, histogram }, index) => {
    if (histogram.count > 0) drawCurve(context, plot, shares[index], highest, palette[side], x);
  });
  curves.forEach((curve, index) => drawMedian(context, plot, curve, index, palette, x));
}

/**
 * @param {Histogram} histogram
 * @returns {number[]} the share of each step
 */
function sharesOf({ counts, below, count }) {
  const steps = Array.from({ length: BUCKETS / BUCKETS_PER_STEP }, (_, step) => {
    let sum = step === 0 ? below : 0;
    for (let bucket = step * BUCKETS_PER_STEP; bucket < (step + 1) * BUCKETS_PER_STEP; bucket += 1) sum += counts[bucket];
    return sum;
  });
  return steps.map((sum) => sum / Math.max(1, count));
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {number} top
 * @param {Palette} palette
 * @param {(value: number) => number} x
 */
function drawScale(context, plot, top, palette, x) {
  const foot = plot.top + plot.height;
  for (const [index, { value, name }] of decades(top).entries()) {
    context.fillStyle = palette.hairline;
    context.fillRect(Math.round(x(value)), plot.top, 1, plot.height);
    context.fillStyle = palette.quiet;
    context.textAlign = index === 0 ? "left" : value === 10 ** top ? "right" : "center";
    context.fillText(name, x(value), foot + 15);
  }
  context.fillStyle = palette.hairline;
  context.fillRect(plot.left, foot, plot.width, 1);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {number[]} shares
 * @param {number} highest
 * @param {string} colour
 * @param {(value: number) => number} x
 */
function drawCurve(context, plot, shares, highest, colour, x) {
  const foot = plot.top + plot.height;
  context.beginPath();
  context.moveTo(plot.left, foot);
  shares.forEach((share, step) => {
    const high = foot - (share / highest) * plot.height;
    context.lineTo(x(bucketEdge(step * BUCKETS_PER_STEP)), high);
    context.lineTo(x(bucketEdge((step + 1) * BUCKETS_PER_STEP)), high);
  });
  context.lineTo(plot.left + plot.width, foot);
  context.fillStyle = context.strokeStyle = colour;
  context.globalAlpha = 0.18;
  context.fill();
  context.globalAlpha = 1;
  context.lineWidth = 1.5;
  context.stroke();
}

/**
 * Mark and label the median.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Curve} curve
 * @param {number} index
 * @param {Palette} palette
 * @param {(value: number) => number} x
 */
function drawMedian(context, plot, { name, side, histogram, error }, index, palette, x) {
  const median = histogram.percentile(50);
  if (median === null) return;
  const at = x(median);
  const text = `${name} p50 ${readingText(median, error)}`;
  const line = (index + 1) * 16;
  context.fillStyle = palette[side];
  context.fillRect(Math.round(at), line + 4, 1, plot.top + plot.height - line - 4);
  const fits = at + context.measureText(text).width + 6 < plot.width;
  context.textAlign = fits ? "left" : "right";
  context.fillText(text, fits ? at + 6 : at - 6, line + 2);
}
