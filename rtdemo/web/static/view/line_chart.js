// @ts-check
/**
 * Draws numbers over time: a line for each key, on one scale or in bands below each other; hatched gaps where there is no
 * value; and the moment of the read-out.
 * @module view/line_chart
 */
import { clip } from "../format.js";
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
 * @property {string[]} times labels of the left edge, the middle and the right edge
 * @property {number | null} cursor moment of the read-out; null for none
 * @property {Palette} palette
 */

/** @typedef {Times & { series: Series, count: number }} Points of the series so many are drawn; the others are newer */

/**
 * @typedef {object} ScaledBand
 * @property {number[]} lines that share a scale
 * @property {Axis} axis
 * @property {string} name of a line that is alone; empty for none
 * @property {string} value that is read out of it; empty for none
 */

/** @typedef {Points & { bands: ScaledBand[], strokes: Stroke[] }} Scene the bands from the top, and a stroke for each line */
/** @typedef {(value: number) => number} Place of a value, pixels from the top */

const FONT = "11px system-ui, sans-serif";
const HEAD_PX = 6;
const FOOT_PX = 18;
const LABEL_GAP_PX = 8;
/** Least width of a chart with a label in the middle of its times, of the width of that label. */
const MIN_TIMES = 5;
/** Height of a label. Closer ones are left out: they would be on each other. */
const LABEL_PX = 12;
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
/** Shown in gaps that have room for it, and the least distance from their ends and from the bottom. */
const GAP_TEXT = "no values";
const GAP_MARGIN_PX = 6;
/** Height of the name above a band, and the length of the stroke beside it. */
const NAME_PX = 16;
const SWATCH_PX = 12;
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
  const labels = scene.bands.map(({ axis }) => axis.ticks.map((tick) => numberText(tick, axis.decimals)));
  const gutter = Math.ceil(Math.max(0, ...labels.flat().map((text) => context.measureText(text).width))) + LABEL_GAP_PX;
  const plot = { left: 0, top: HEAD_PX, width: Math.max(1, width - gutter), height: height - HEAD_PX - FOOT_PX };
  const places = placed(plot, scene.bands);
  const gaps = drawGaps(context, plot, scene);
  scene.bands.forEach((band, index) => {
    drawScale(context, plot, scene, band.axis, labels[index], places[index].y);
    if (band.name !== "") drawName(context, plot, scene, band, places[index].top);
  });
  nameGaps(context, plot, scene, gaps);
  drawTimes(context, plot, scene);
  scene.bands.forEach((band, index) => {
    const { top, bottom, y } = places[index];
    context.save();
    context.beginPath();
    // A line comes from a value before the chart, which may be anywhere.
    context.rect(plot.left, index === 0 ? 0 : top, plot.width + NEWEST_PX, bottom - (index === 0 ? 0 : top) + 1);
    context.clip();
    for (const line of band.lines) drawLine(context, plot, scene, band.axis, line, y);
    context.restore();
  });
  drawCursor(context, plot, scene);
  return plot;
}

/**
 * Share the height of a plot among its bands.
 * @param {Plot} plot
 * @param {ScaledBand[]} bands
 * @returns {{ top: number, bottom: number, y: Place }[]} the ends of each, with its name, and the place of its values
 */
function placed(plot, bands) {
  const share = plot.height / bands.length;
  return bands.map(({ axis: { low, high }, name }, index) => {
    const top = plot.top + index * share;
    // Without room for both, the name is among the values.
    const head = name === "" || share < 2 * NAME_PX ? 0 : NAME_PX;
    const y = (/** @type {number} */ value) => top + head + (share - head) * (1 - (value - low) / (high - low));
    return { top, bottom: top + share, y };
  });
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
 * @returns {[left: number, right: number][]} the hatched gaps
 */
function drawGaps(context, plot, { series, count, from, to, palette }) {
  const x = (/** @type {number} */ at) => plot.left + Math.max(0, (at - from) / (to - from)) * plot.width;
  const [lows] = series.low;
  const first = Math.max(0, series.since(from) - 1);
  const end = Math.min(series.since(to), count);
  /** @type {[left: number, right: number][]} */
  const gaps = [];
  context.save();
  context.beginPath();
  for (let index = first; index < end; index += 1) {
    // Most points have a value of the first line.
    if (!Number.isNaN(lows[index]) || !series.isBreak(index)) continue;
    const last = series.at[Math.max(first, index - 1)];
    while (index < count && series.isBreak(index)) index += 1;
    if (index === count) break;
    const [left, right] = [x(last), x(Math.min(series.at[index], to))];
    if (right - left < MIN_GAP_PX) continue;
    context.rect(left, plot.top, right - left, plot.height);
    gaps.push([left, right]);
  }
  if (gaps.length > 0) {
    context.clip();
    hatch(context, plot, palette.quiet);
  }
  context.restore();
  return gaps;
}

/**
 * Write what hatching means into the gaps that have room for it.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {[left: number, right: number][]} gaps
 */
function nameGaps(context, plot, { palette }, gaps) {
  const room = context.measureText(GAP_TEXT).width + 2 * GAP_MARGIN_PX;
  const bottom = plot.top + plot.height - GAP_MARGIN_PX;
  context.textAlign = "center";
  context.fillStyle = palette.quiet;
  for (const [left, right] of gaps) {
    if (right - left < room) continue;
    const middle = (left + right) / 2;
    context.clearRect(middle - room / 2, bottom - LABEL_PX, room, LABEL_PX + GAP_MARGIN_PX / 2);
    context.fillText(GAP_TEXT, middle, bottom);
  }
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
 * @param {Axis} axis
 * @param {string[]} labels
 * @param {Place} y
 */
function drawScale(context, plot, { palette }, axis, labels, y) {
  context.textAlign = "left";
  let labelled = Infinity;
  axis.ticks.forEach((tick, index) => {
    const line = Math.round(y(tick));
    context.fillStyle = palette.hairline;
    context.fillRect(plot.left, line, plot.width, 1);
    if (labelled - line < LABEL_PX) return;
    labelled = line;
    context.fillStyle = palette.quiet;
    context.fillText(labels[index], plot.left + plot.width + LABEL_GAP_PX, Math.max(line + 4, 10));
  });
}

/**
 * Name a band, with the stroke of its line, and the value that is read out of it.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {ScaledBand} band
 * @param {number} top
 */
function drawName(context, plot, { palette, strokes }, { lines, name, value }, top) {
  const { colour, dash } = strokes[lines[0]];
  const middle = top + NAME_PX / 2;
  context.strokeStyle = colour;
  context.lineWidth = LINE_PX;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(plot.left, middle);
  context.lineTo(plot.left + SWATCH_PX, middle);
  context.stroke();
  context.setLineDash([]);
  context.textAlign = "left";
  const left = SWATCH_PX + LABEL_GAP_PX;
  const room = plot.width - left - (value === "" ? 0 : context.measureText(value).width + LABEL_GAP_PX);
  const shown = fitting(context, name, room);
  context.fillStyle = palette.quiet;
  context.fillText(shown, plot.left + left, middle + 4);
  if (value === "") return;
  context.fillStyle = palette.ink;
  context.fillText(value, plot.left + left + context.measureText(shown).width + LABEL_GAP_PX, middle + 4);
}

/**
 * Cut a text to a width.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width
 */
function fitting(context, text, width) {
  const whole = context.measureText(text).width;
  return whole <= width ? text : clip(text, Math.max(1, Math.floor((text.length * width) / whole) - 1));
}

/**
 * Label the times; the one in the middle only where it is clearly apart from the others.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Pick<Times, "times" | "palette">} scene
 */
export function drawTimes(context, plot, { times: [start, middle, end], palette }) {
  const foot = plot.top + plot.height + 14;
  context.fillStyle = palette.quiet;
  context.textAlign = "left";
  context.fillText(start, plot.left, foot);
  context.textAlign = "right";
  context.fillText(end, plot.left + plot.width, foot);
  if (plot.width < MIN_TIMES * context.measureText(middle).width) return;
  context.textAlign = "center";
  context.fillText(middle, plot.left + plot.width / 2, foot);
}

/**
 * Draw one line. Points that share a column of pixels are one stroke from the least to the largest value. The line enters at
 * the first value and leaves from the last.
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Scene} scene
 * @param {Axis} axis
 * @param {number} line
 * @param {Place} y
 */
function drawLine(context, plot, { series, count, from, to, strokes }, axis, line, y) {
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
  /** First and last value of the column. */
  let [entry, exit] = [0, 0];
  const flush = () => {
    if (begin === null) return;
    const x = plot.left + column;
    last = x;
    if (y(low) - y(high) > POINT_PX) {
      const [near, far] = entry <= exit ? [low, high] : [high, low];
      path.lineTo(x, y(entry));
      if (near !== entry) path.lineTo(x, y(near));
      if (far !== exit) path.lineTo(x, y(far));
      fill?.lineTo(x, y(entry));
    }
    path.lineTo(x, y(exit));
    fill?.lineTo(x, y(exit));
  };
  const end = () => {
    flush();
    if (begin === null) return;
    if (last === begin) path.addPath(dot(begin, y(exit)));
    fill?.lineTo(last, base);
    fill?.lineTo(begin, base);
    begin = null;
  };
  const stop = Math.min(count, series.since(to) + 1);
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
      exit = after(exit, value, highs[index])[1];
      continue;
    }
    flush();
    [column, low, high] = [own, value, highs[index]];
    [entry, exit] = after(begin === null ? low : exit, low, high);
    if (begin !== null) continue;
    begin = plot.left + own;
    path.moveTo(begin, y(low));
    fill?.moveTo(begin, base);
  }
  // The newest value has a mark, unless a gap or the edge of the chart follows it.
  const isOpen = begin !== null && stop === count;
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
  context.arc(last, y(exit), NEWEST_PX, 0, 2 * Math.PI);
  context.fill();
}

/**
 * Return the order of the ends of a point. Merged values have lost it: the end that is nearer to the value before is taken for
 * the first.
 * @param {number} before the value before it
 * @param {number} low
 * @param {number} high
 * @returns {[number, number]} its first and its last value
 */
function after(before, low, high) {
  return high - before < before - low ? [high, low] : [low, high];
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
