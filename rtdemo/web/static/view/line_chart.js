// @ts-check
/**
 * Draws numbers over time: a line for each key, hatched gaps where there is no value, and the moment of the read-out.
 * @module view/line_chart
 */
import { numberText } from "../value.js";

/** @typedef {import("../canvas.js").Palette} Palette */
/** @typedef {import("../canvas.js").Plot} Plot */
/** @typedef {import("./axis.js").Axis} Axis */
/** @typedef {import("./series.js").Series} Series */

/** @typedef {{ colour: string, dash: number[] }} Stroke */

/**
 * @typedef {object} Times what every chart has
 * @property {number} from milliseconds since the epoch, at the left edge
 * @property {number} to at the right edge
 * @property {string} start label of the left edge
 * @property {string} end label of the right edge
 * @property {number | null} cursor moment of the read-out; null for none
 * @property {Palette} palette
 */

/** @typedef {Times & { series: Series, axis: Axis, strokes: Stroke[] }} Scene a stroke for each line */

const FONT = "11px system-ui, sans-serif";
const HEAD_PX = 6;
const FOOT_PX = 18;
const LABEL_GAP_PX = 8;
const LINE_PX = 1.75;
const DOT_PX = 2.25;
/**
 * Strokes of one pixel, side by side, that look like one of LINE_PX. Without a graphics card, a wide stroke of a thousand
 * points takes six times as long as these three.
 */
const THIN_STROKES = [
  [-0.375, -0.375],
  [0.375, -0.375],
  [-0.375, 0.375],
];
/** Radius of the mark on the newest value. */
const NEWEST_PX = 2.75;
const FILL_ALPHA = 0.08;
const HATCH_ALPHA = 0.35;
const HATCH_PX = 7;
/** Narrower gaps are not hatched: values and gaps that alternate would be a surface. */
const MIN_GAP_PX = 4;
/** A column of pixels whose values are closer than this is one point. */
const POINT_PX = 0.5;

/**
 * Draw the chart.
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 * @param {Scene} scene
 * @returns {Plot} where the values are
 */
export function drawLineChart(context, width, height, scene) {
  setFont(context);
  const labels = scene.axis.ticks.map((tick) => numberText(tick, scene.axis.decimals));
  const gutter = Math.ceil(Math.max(0, ...labels.map((text) => context.measureText(text).width))) + LABEL_GAP_PX;
  const plot = { left: 0, top: HEAD_PX, width: Math.max(1, width - gutter), height: height - HEAD_PX - FOOT_PX };
  const y = (/** @type {number} */ value) =>
    plot.top + plot.height * (1 - (value - scene.axis.low) / (scene.axis.high - scene.axis.low));
  drawGaps(context, plot, scene);
  drawScale(context, plot, scene, labels, y);
  drawTimes(context, plot, scene);
  context.save();
  context.beginPath();
  context.rect(plot.left, 0, plot.width + NEWEST_PX, height - FOOT_PX + 1);
  context.clip();
  for (let line = 0; line < scene.series.lines; line += 1) drawLine(context, plot, scene, line, y);
  context.restore();
  drawCursor(context, plot, scene);
  return plot;
}

/**
 * Set the font of labels. A canvas keeps it until its size changes; setting it again computes the page's styles.
 * @param {CanvasRenderingContext2D} context
 */
export function setFont(context) {
  if (context.font !== FONT) context.font = FONT;
}

/**
 * Draw the times alone: there is no value to make a scale of.
 * @param {CanvasRenderingContext2D} context
 * @param {number} width
 * @param {number} height
 * @param {Times} scene
 * @returns {Plot}
 */
export function drawNothing(context, width, height, scene) {
  const plot = { left: 0, top: HEAD_PX, width, height: height - HEAD_PX - FOOT_PX };
  setFont(context);
  drawTimes(context, plot, scene);
  drawCursor(context, plot, scene);
  context.fillStyle = scene.palette.quiet;
  context.textAlign = "center";
  context.fillText("no values in this time", plot.width / 2, plot.top + plot.height / 2);
  return plot;
}

/**
 * Hatch the times without a value, each until the next value. A surface would look like the area below a line.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 */
function drawGaps(context, plot, { series, from, to, palette }) {
  const x = (/** @type {number} */ at) => plot.left + Math.max(0, (at - from) / (to - from)) * plot.width;
  const [lows] = series.low;
  const first = Math.max(0, series.since(from) - 1);
  const end = series.since(to);
  let isAny = false;
  context.save();
  context.beginPath();
  for (let index = first; index < end; index += 1) {
    // Most points have a value of the first line.
    if (!Number.isNaN(lows[index]) || !series.isBreak(index)) continue;
    const last = series.at[Math.max(first, index - 1)];
    while (index < series.length && series.isBreak(index)) index += 1;
    if (index === series.length) break;
    const [left, right] = [x(last), x(Math.min(series.at[index], to))];
    if (right - left < MIN_GAP_PX) continue;
    context.rect(left, plot.top, right - left, plot.height);
    isAny = true;
  }
  if (isAny) {
    context.clip();
    hatch(context, plot, palette.quiet);
  }
  context.restore();
}

/**
 * Draw oblique lines over the whole plot.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {string} colour
 */
function hatch(context, { left, top, width, height }, colour) {
  context.beginPath();
  for (let start = left - height; start < left + width; start += HATCH_PX) {
    context.moveTo(start, top + height);
    context.lineTo(start + height, top);
  }
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.globalAlpha = HATCH_ALPHA;
  context.stroke();
}

/**
 * The labels are at the right, beside the newest values.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {string[]} labels
 * @param {(value: number) => number} y
 */
function drawScale(context, plot, { axis, palette }, labels, y) {
  context.textAlign = "left";
  axis.ticks.forEach((tick, index) => {
    const line = Math.round(y(tick));
    context.fillStyle = palette.hairline;
    context.fillRect(plot.left, line, plot.width, 1);
    context.fillStyle = palette.quiet;
    context.fillText(labels[index], plot.left + plot.width + LABEL_GAP_PX, Math.max(line + 4, 10));
  });
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Pick<Times, "start" | "end" | "palette">} scene
 */
export function drawTimes(context, plot, { start, end, palette }) {
  const foot = plot.top + plot.height + 14;
  context.fillStyle = palette.quiet;
  context.textAlign = "left";
  context.fillText(start, plot.left, foot);
  context.textAlign = "right";
  context.fillText(end, plot.left + plot.width, foot);
}

/**
 * Draw one line. Points that share a column of pixels are one stroke from the least to the largest value.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {number} line
 * @param {(value: number) => number} y
 */
function drawLine(context, plot, { series, from, to, strokes, axis }, line, y) {
  const { colour, dash } = strokes[line];
  const [lows, highs] = [series.low[line], series.high[line]];
  const scale = plot.width / (to - from);
  const pixels = context.getTransform().a;
  const path = new Path2D();
  // An area without its zero would exaggerate.
  const fill = series.lines === 1 && axis.low <= 0 && axis.high >= 0 ? new Path2D() : null;
  const base = y(0);
  /** Where the part since the last gap began; null in a gap. @type {number | null} */
  let begin = null;
  let [column, low, high, last] = [-1, 0, 0, 0];
  const flush = () => {
    if (begin === null) return;
    const x = plot.left + column;
    const [above, below] = [y(high), y(low)];
    path.lineTo(x, below);
    if (below - above > POINT_PX) path.lineTo(x, above);
    fill?.lineTo(x, above);
    last = x;
  };
  const end = () => {
    flush();
    if (begin === null) return;
    if (last === begin) path.addPath(dot(begin, y(high)));
    fill?.lineTo(last, base);
    fill?.lineTo(begin, base);
    begin = null;
  };
  const stop = Math.min(series.length, series.since(to) + 1);
  for (let index = Math.max(0, series.since(from) - 1); index < stop; index += 1) {
    const value = lows[index];
    if (Number.isNaN(value)) {
      end();
      continue;
    }
    const own = Math.round((series.at[index] - from) * scale * pixels) / pixels;
    if (begin !== null && own === column) {
      low = Math.min(low, value);
      high = Math.max(high, highs[index]);
      continue;
    }
    flush();
    [column, low, high] = [own, value, highs[index]];
    if (begin !== null) continue;
    begin = plot.left + own;
    path.moveTo(begin, y(low));
    fill?.moveTo(begin, base);
  }
  // The newest value has a mark, unless a gap or the edge of the chart follows it.
  const isOpen = begin !== null && stop === series.length;
  end();
  if (fill !== null) {
    context.globalAlpha = FILL_ALPHA;
    context.fillStyle = colour;
    context.fill(fill);
    context.globalAlpha = 1;
  }
  context.strokeStyle = colour;
  context.setLineDash(dash);
  strokeLine(context, path, pixels);
  context.setLineDash([]);
  if (!isOpen) return;
  context.fillStyle = colour;
  context.beginPath();
  // Of the points in the last column, the newest is not always the largest.
  context.arc(last, y(highs[stop - 1]), NEWEST_PX, 0, 2 * Math.PI);
  context.fill();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Path2D} path
 * @param {number} pixels of the screen in a pixel of the page
 */
function strokeLine(context, path, pixels) {
  // Round joins of many points take twice as long.
  context.lineJoin = "bevel";
  context.lineCap = "round";
  context.lineWidth = pixels > 1 ? LINE_PX : 1 / pixels;
  for (const [right, down] of pixels > 1 ? [[0, 0]] : THIN_STROKES) {
    context.translate(right, down);
    context.stroke(path);
    context.translate(-right, -down);
  }
}

/**
 * A value between two gaps has no line: it is a dot.
 * @param {number} x
 * @param {number} y
 */
function dot(x, y) {
  const path = new Path2D();
  path.arc(x, y, DOT_PX / 2, 0, 2 * Math.PI);
  return path;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Pick<Times, "from" | "to" | "cursor" | "palette">} scene
 */
export function drawCursor(context, plot, { from, to, cursor, palette }) {
  if (cursor === null) return;
  const x = plot.left + ((cursor - from) / (to - from)) * plot.width;
  context.fillStyle = palette.ink;
  context.fillRect(Math.round(x), plot.top, 1, plot.height);
}
