// @ts-check
/**
 * Draws one side's latency over time: for each column of pixels a bar from the least to the largest latency and a mark at
 * the mean, and above them the spans, in words.
 * @module panels/strip_chart
 */
import { margin } from "../format.js";
import { decades, place } from "./latency_scale.js";
import { spanText } from "../measure/spans.js";

/** @typedef {import("../measure/ring.js").Ring} Ring */
/** @typedef {import("../measure/spans.js").Span} Span */
/** @typedef {import("../canvas.js").Palette} Palette */
/** @typedef {import("../canvas.js").Plot} Plot */

/** Bound on columns; a wider chart leaves the rest empty. */
const MAX_COLUMNS = 4096;

class Columns {
  min = new Float32Array(MAX_COLUMNS);
  max = new Float32Array(MAX_COLUMNS);
  sum = new Float64Array(MAX_COLUMNS);
  count = new Uint32Array(MAX_COLUMNS);

  /**
   * Sum up the samples between two moments, column by column.
   * @param {Ring} ring
   * @param {number} from performance.now()
   * @param {number} to
   * @param {number} columns
   * @param {boolean} counted whether to take the samples that count, or those that are left out
   */
  gather(ring, from, to, columns, counted) {
    const width = Math.min(columns, MAX_COLUMNS);
    this.count.fill(0, 0, width);
    const scale = width / (to - from);
    for (let index = ring.since(from); index < ring.length; index += 1) {
      const slot = ring.slot(index);
      if (ring.at[slot] >= to) break;
      if ((ring.flags[slot] === 0) === counted) {
        this.#add(Math.floor((ring.at[slot] - from) * scale), ring.latency[slot]);
      }
    }
  }

  /**
   * @param {number} column
   * @param {number} latency milliseconds; NaN if unknown
   */
  #add(column, latency) {
    if (Number.isNaN(latency)) return;
    if (this.count[column] === 0) {
      this.min[column] = this.max[column] = latency;
      this.sum[column] = 0;
    }
    this.min[column] = Math.min(this.min[column], latency);
    this.max[column] = Math.max(this.max[column], latency);
    this.sum[column] += latency;
    this.count[column] += 1;
  }
}

/**
 * Find the largest latency between two moments.
 * @param {Ring} ring
 * @param {number} from performance.now()
 * @param {number} to
 */
export function largestLatency(ring, from, to) {
  let max = 0;
  for (let index = ring.since(from), end = ring.since(to); index < end; index += 1) {
    const latency = ring.latency[ring.slot(index)];
    if (latency > max) max = latency;
  }
  return max;
}

/**
 * @typedef {object} Scene
 * @property {Ring} ring
 * @property {Span[]} spans
 * @property {number} from performance.now() at the left edge
 * @property {number} to at the right edge
 * @property {number} top of the latency scale, a power of ten
 * @property {number | null} error of the server clock, milliseconds
 * @property {string} end label of the right edge, such as now
 * @property {"websocket" | "sse"} side
 * @property {Palette} palette
 */

const FONT = "11px system-ui, sans-serif";
/** Width of the scale's labels. */
export const GUTTER_PX = 52;
/** Height of a line of span labels; above the plot there are as many as needed, and at most MAX_LANES. */
const LANE_PX = 17;
const MAX_LANES = 3;
const HEAD_PX = 8;
/** Width from which there is room for a time in the middle. */
const MIDDLE_TIME_PX = 240;
/** Height of the times below the plot. */
const FOOT_PX = 18;

const columns = new Columns();

/**
 * Draw the chart.
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 * @param {Scene} scene
 */
export function drawStripChart(context, width, height, { spans, ...rest }) {
  const shown = spans.filter(({ from, to }) => from < rest.to && (to ?? rest.to) > rest.from);
  const scene = { ...rest, spans: shown };
  context.font = FONT;
  context.textBaseline = "alphabetic";
  const across = width - GUTTER_PX;
  const x = (/** @type {number} */ at) => GUTTER_PX + (Math.max(0, at - scene.from) / (scene.to - scene.from)) * across;
  const labels = placeLabels(context, width, scene, x);
  const head = HEAD_PX + LANE_PX * Math.max(0, ...labels.map(({ lane }) => lane + 1));
  const plot = { left: GUTTER_PX, top: head, width: across, height: height - head - FOOT_PX };
  const y = (/** @type {number} */ value) => plot.top + plot.height * (1 - place(value, scene.top));
  drawSpans(context, plot, scene, x);
  drawScale(context, plot, scene, y);
  drawTimes(context, plot, scene);
  drawClockError(context, plot, scene, y);
  drawSamples(context, plot, scene, y, false);
  drawSamples(context, plot, scene, y, true);
  labelClockError(context, plot, scene);
  drawLabels(context, plot, scene, labels);
}

/** @typedef {(value: number) => number} Place */

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {Place} x
 */
function drawSpans(context, plot, { spans, to, palette }, x) {
  for (const span of spans) {
    const [left, right] = [x(span.from), x(span.to ?? to)];
    context.globalAlpha = 0.14;
    context.fillStyle = colour(span, palette);
    context.fillRect(left, plot.top, Math.max(1, right - left), plot.height);
  }
  context.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {Place} y
 */
function drawScale(context, plot, { top, palette }, y) {
  context.textAlign = "right";
  for (const { value, name } of decades(top)) {
    context.fillStyle = palette.hairline;
    context.fillRect(plot.left, Math.round(y(value)), plot.width, 1);
    context.fillStyle = palette.quiet;
    context.fillText(name, plot.left - 8, Math.round(y(value)) + 4);
  }
}

/**
 * The times are fixed; the data moves under them.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 */
function drawTimes(context, plot, { from, to, end, palette }) {
  const seconds = Math.round((to - from) / 1000);
  const name = (/** @type {number} */ s) => (s >= 60 ? `${s / 60} min ago` : `${s} s ago`);
  const foot = plot.top + plot.height + 14;
  context.fillStyle = palette.quiet;
  context.textAlign = "left";
  context.fillText(name(seconds), plot.left, foot);
  context.textAlign = "center";
  if (plot.width >= MIDDLE_TIME_PX) context.fillText(name(seconds / 2), plot.left + plot.width / 2, foot);
  context.textAlign = "right";
  context.fillText(end, plot.left + plot.width, foot);
}

/**
 * Shade the latencies below the clock's error, which are noise.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {Place} y
 */
function drawClockError(context, plot, { error, palette }, y) {
  if (error === null) return;
  const line = y(error);
  context.fillStyle = palette.hairline;
  context.globalAlpha = 0.55;
  context.fillRect(plot.left, line, plot.width, plot.top + plot.height - line);
  context.globalAlpha = 1;
}

/**
 * Label the clock's error, on a background of its own so that it is legible over the samples.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 */
function labelClockError(context, plot, { error, palette }) {
  if (error === null) return;
  const bound = `± ${margin(error)} ms`;
  const whole = `clock ${bound}`;
  const text = context.measureText(whole).width + 8 <= plot.width ? whole : bound;
  const foot = plot.top + plot.height;
  context.fillStyle = palette.paper;
  context.fillRect(plot.left, foot - 15, context.measureText(text).width + 8, 14);
  context.fillStyle = palette.quiet;
  context.textAlign = "left";
  context.fillText(text, plot.left + 4, foot - 4);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {Place} y
 * @param {boolean} counted
 */
function drawSamples(context, plot, { ring, from, to, side, palette }, y, counted) {
  const width = Math.max(1, Math.round(plot.width));
  columns.gather(ring, from, to, width, counted);
  context.fillStyle = counted ? palette[side] : palette.quiet;
  for (let column = 0; column < width; column += 1) {
    const count = columns.count[column];
    if (count === 0) continue;
    const left = plot.left + column;
    const [high, low] = [y(columns.max[column]), y(columns.min[column])];
    context.globalAlpha = 0.4;
    context.fillRect(left, high, 1, low - high);
    context.globalAlpha = 1;
    context.fillRect(left - 1, y(columns.sum[column] / count) - 1.5, 3, 3);
  }
}

/** @typedef {{ span: Span, text: string, left: number, start: number, end: number, lane: number }} Label lane 0 is next to the plot */

/**
 * Place the labels of the spans, the latest first, each on the nearest line that has room. Without room a span has only
 * its band.
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {Scene} scene
 * @param {Place} x
 * @returns {Label[]}
 */
function placeLabels(context, width, { spans, to }, x) {
  const free = new Array(MAX_LANES).fill(width);
  /** @type {Label[]} */
  const labels = [];
  for (const span of spans.toReversed()) {
    const text = spanText(span, to);
    const [start, end] = [x(span.from), x(span.to ?? to)];
    const length = context.measureText(text).width;
    const left = Math.min(start, width - length);
    const lane = free.findIndex((room) => Math.max(left + length, end) <= room);
    if (lane < 0) continue;
    labels.push({ span, text, left, start, end, lane });
    free[lane] = left - 8;
  }
  return labels;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {Label[]} labels
 */
function drawLabels(context, plot, { palette }, labels) {
  context.textAlign = "left";
  for (const { span, text, left, start, end, lane } of labels) {
    const foot = plot.top - 4 - lane * LANE_PX;
    context.fillStyle = colour(span, palette);
    context.fillRect(start, foot, Math.max(2, end - start), 2);
    context.fillText(text, left, foot - 4);
  }
}

/**
 * A connection that does not work has the colour of its state; other spans are grey.
 * @param {Span} span
 * @param {Palette} palette
 */
function colour({ kind }, palette) {
  return kind === "away" || kind === "silent" ? palette.waiting : palette.quiet;
}
