// @ts-check
/**
 * A card's chart: draws when something that it shows has changed, and reads out a moment, by pointer or by arrow keys.
 * @module view/chart
 */
import { write } from "../dom.js";
import { NONE, clip, oneLine } from "../format.js";
import { ChartCanvas } from "../canvas.js";
import { axis } from "./axis.js";
import { bandsOf, declaresScale, isAnyFlat, rangesOf } from "./bands.js";
import { drawLineChart, drawNothing } from "./line_chart.js";
import { drawStateChart } from "./state_chart.js";
import { MAX_LINES } from "./producer_data.js";
import { exactSpan, numberText, spanText } from "../value.js";

/** @typedef {import("../canvas.js").Plot} Plot */
/** @typedef {import("./bands.js").Arrangement} Arrangement */
/** @typedef {import("./line_chart.js").Stroke} Stroke */
/** @typedef {import("./producer_data.js").ProducerData} ProducerData */

/**
 * @typedef {object} Frame what all charts of one painting share
 * @property {number} now milliseconds since the epoch, by the server's clock
 * @property {number} edge the same, or the moment of the pause: the charts' right edge
 * @property {number | null} window seconds that the charts show; null for what fits the data of each
 * @property {boolean} paused
 * @property {Arrangement | null} lines of charts that have several; null for what fits the values of each
 */

/**
 * @typedef {object} Own what belongs to one card
 * @property {number} seconds that its chart shows
 * @property {number} newest time of the value in its texts, or of the pause: what is newer is not drawn
 * @property {number} version of its data
 */

/** @typedef {Frame & Own} CardFrame */

/** Colours of lines: view/lines.css has them. After these they are dashed. */
const COLOURS = 6;
const DASH = [5, 4];
/** Steps of the arrow keys, of the charts' width. */
const STEPS = 100;
/** Steps of each key. @type {Record<string, number>} */
const MOVES = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -STEPS, End: STEPS, Escape: 0 };
const TICK_PX = 70;
/** A chart is drawn before it is scrolled into sight. */
const NEAR = { rootMargin: "200px" };
/** Least time between two drawings that differ only within a column of pixels. */
const REDRAW_MS = 500;
const MIN_TICKS = 3;
/** Where each line has a band of its own, which is lower. */
const MIN_TICKS_OF_BAND = 2;
/** Characters of a key. */
const MAX_KEY_CHARS = 60;

/**
 * Return how the key of a line is shown.
 * @param {string} key
 */
export function keyName(key) {
  return oneLine(clip(key, MAX_KEY_CHARS)) || "(empty)";
}

/** @param {number} line @returns {{ name: string, dash: number[] }} */
export function strokeOf(line) {
  return { name: `line-${(line % COLOURS) + 1}`, dash: line < COLOURS ? [] : DASH };
}

export class Chart {
  element = document.createElement("div");
  #canvas;
  #readout = document.createElement("p");
  #announce;
  #drawn = "";
  #dataVersion = -1;
  #drawnAt = 0;
  #version = -1;
  /** Number of bands that are drawn. */
  #bands = 1;
  /** Whether the picture on the screen has another number of bands. */
  #isOutOfShape = false;
  #isAnyFlat = false;
  /** Whether each band has the name of its line. */
  #areNamed = false;
  /** What is read out. */
  #spoken = "";
  /** @type {Stroke[]} */
  #strokes = [];
  /** @type {Plot | null} */
  #plot = null;
  #from = 0;
  #to = 1;
  /** Moment of the read-out. @type {number | null} */
  #cursor = null;
  /** Where the pointer is, as a part of the width: the moment that it points at moves on. @type {number | null} */
  #pointer = null;
  /** @type {ProducerData | null} */
  #data = null;
  /** @type {CardFrame | null} */
  #frame = null;
  #isDue = false;
  /** Whether it is on the screen, or near its edge. */
  #isNear = false;

  /**
   * @param {(text: string) => void} announce to screen readers
   * @param {() => void} changed requests a painting: the chart's size or colours are others
   */
  constructor(announce, changed) {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    // Both get the producer's name with the first drawing.
    canvas.setAttribute("aria-label", "Chart");
    this.element.setAttribute("aria-label", "Chart");
    this.element.className = "chart";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "group");
    this.#readout.className = "readout";
    this.#readout.hidden = true;
    this.element.append(canvas, this.#readout);
    this.#announce = announce;
    this.#canvas = new ChartCanvas(canvas, () => {
      // Until the next painting, the picture would be stretched to the height of other bands.
      if (this.#isOutOfShape && this.#data !== null && this.#frame !== null) this.#redraw(this.#data, this.#frame);
      changed();
    });
    const watch = new IntersectionObserver((entries) => {
      this.#isNear = entries.some(({ isIntersecting }) => isIntersecting);
      if (this.#isNear) changed();
    }, NEAR);
    watch.observe(this.element);
    this.element.addEventListener("pointermove", (event) => this.#point(event));
    this.element.addEventListener("pointerdown", (event) => this.#point(event));
    // A finger that is lifted leaves the chart. What it has touched stays until it touches something else: then the
    // chart loses the focus. A finger that scrolls the page reads nothing.
    this.element.addEventListener("pointerup", (event) => this.#lift(event));
    this.element.addEventListener("pointercancel", () => this.#leave());
    this.element.addEventListener("pointerleave", (event) => event.pointerType === "touch" || this.#leave());
    this.element.addEventListener("blur", () => this.#leave());
    this.element.addEventListener("keydown", (event) => this.#press(event));
  }

  /**
   * Draw, if something has changed and can be seen.
   * @param {ProducerData} data
   * @param {CardFrame} frame
   * @returns {boolean} whether it was drawn
   */
  draw(data, frame) {
    const { width, height } = this.#canvas;
    if (!this.#isNear || width < 1 || height < 1) return false;
    const span = frame.seconds * 1000;
    // The edge advances by whole columns, so that nothing is drawn that looks the same.
    const step = span / Math.max(1, Math.round(width));
    const to = (Math.floor(frame.edge / step) + 1) * step;
    const columns = Math.floor(frame.newest / step);
    const key = [to, columns, data.shape, data.description.low, data.description.high, this.#canvas.version];
    const others = [data.series.lines, frame.paused, frame.lines, span, data.series.length === 0];
    const drawn = [...key, ...others].join(" ");
    const isSame = drawn === this.#drawn;
    if (isSame && (frame.version === this.#dataVersion || Math.abs(frame.now - this.#drawnAt) < REDRAW_MS)) return false;
    this.#drawn = drawn;
    this.#dataVersion = frame.version;
    this.#drawnAt = frame.now;
    [this.#data, this.#frame] = [data, frame];
    [this.#from, this.#to] = [to - span, to];
    if (this.#pointer !== null) this.#cursor = this.#from + this.#pointer * span;
    else if (this.#cursor !== null) this.#cursor = Math.max(this.#cursor, this.#from);
    this.#redraw(data, frame);
    this.#describe(data, frame);
    return true;
  }

  /**
   * @param {ProducerData} data
   * @param {CardFrame} frame
   */
  #redraw(data, { now, edge, seconds, paused, newest, lines: chosen }) {
    const context = this.#canvas.clear();
    const { width, height, palette } = this.#canvas;
    const { series } = data;
    const [from, to] = [this.#from, this.#to];
    const cursor = this.#cursor === null ? null : readPoint(data, this.#cursor, this.#span(data)).at;
    const times = paused
      ? [from, (from + to) / 2, edge].map(clockText)
      : [`${windowText(seconds)} ago`, `${exactSpan(Math.round(seconds / 2))} ago`, "now"];
    const common = { series, count: series.until(newest), from, to, times, cursor, palette };
    if (data.shape === "state") {
      this.#plot = drawStateChart(context, width, height, { ...common, now });
      return;
    }
    // Values that came during the painting are after the edge. The line is drawn to the first of them.
    const ranges = rangesOf(series, series.since(from), Math.min(series.since(to) + 1, common.count));
    this.#isAnyFlat = isAnyFlat(ranges, this.#isAnyFlat);
    // A unit that is not known yet would bring the lines together again.
    const isOneScale = !data.isDescribed || declaresScale(data.description);
    const arrangement = chosen ?? (this.#isAnyFlat && !isOneScale ? "apart" : "together");
    const bands = bandsOf(ranges, data.description, arrangement);
    this.#reshape(Math.max(1, bands.length));
    if (bands.length === 0) {
      this.#plot = drawNothing(context, width, height, common);
      return;
    }
    this.#areNamed = arrangement === "apart" && series.lines > 1;
    const read = this.#areNamed && this.#cursor !== null ? readValues(data, this.#cursor, this.#span(data)).texts : [];
    const ticks = Math.max(this.#areNamed ? MIN_TICKS_OF_BAND : MIN_TICKS, Math.round(height / bands.length / TICK_PX));
    const { decimals, keys } = data;
    const scaled = bands.map(({ low, high, lines }) => ({
      lines,
      // Very small numbers are shown without decimals, too.
      axis: axis(low, high, ticks, Math.max(-low, high) >= 1 && lines.every((line) => decimals[line] === 0)),
      name: this.#areNamed ? keyName(keys[lines[0]]) : "",
      value: read[lines[0]] ?? "",
    }));
    this.#plot = drawLineChart(context, width, height, { ...common, bands: scaled, strokes: this.#colours(series.lines) });
  }

  /**
   * Let the chart be higher with more bands.
   * @param {number} bands
   */
  #reshape(bands) {
    this.#isOutOfShape = bands !== this.#bands;
    this.#bands = bands;
    // Setting it computes the page's styles.
    if (this.#isOutOfShape) this.element.style.setProperty("--bands", String(bands));
  }

  /** @param {number} lines */
  #colours(lines) {
    if (this.#version !== this.#canvas.version) {
      this.#version = this.#canvas.version;
      this.#strokes = Array.from({ length: MAX_LINES }, (_, line) => {
        const { name, dash } = strokeOf(line);
        return { colour: this.#canvas.colour(name), dash };
      });
    }
    return lines === 1 ? [{ colour: this.#canvas.palette.ink, dash: [] }] : this.#strokes;
  }

  /**
   * @param {ProducerData} data
   * @param {CardFrame} frame
   */
  #describe(data, { seconds }) {
    const name = oneLine(data.title);
    const scales = this.#bands > 1 ? ", each line on a scale of its own" : "";
    this.#canvas.describe(`${name}, the last ${windowText(seconds)}${scales}`);
    this.element.setAttribute("aria-label", `Chart of ${name}. The arrow keys read its values.`);
    this.#showReadout();
  }

  /** @param {PointerEvent} event */
  #point(event) {
    if (this.#plot === null) return;
    const x = event.clientX - this.element.getBoundingClientRect().left - this.#plot.left;
    this.#pointer = Math.min(Math.max(x / this.#plot.width, 0), 1);
    this.#move(this.#from + this.#pointer * (this.#to - this.#from));
  }

  /** @param {PointerEvent} event */
  #lift({ pointerType }) {
    if (pointerType !== "touch") return;
    // The mark stays on its value from now on.
    this.#pointer = null;
    this.element.focus({ preventScroll: true, focusVisible: false });
  }

  #leave() {
    this.#pointer = null;
    this.#move(null);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const data = this.#data;
    const move = MOVES[event.key];
    if (data === null || move === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key !== "Escape") event.preventDefault();
    this.#pointer = null;
    this.#move(event.key === "Escape" ? null : this.#moved(data, move));
    if (this.#cursor !== null) this.#announce(this.#spoken);
  }

  /**
   * Return the moment after some steps, but at least that of the next point; without a mark, that of the newest.
   * @param {ProducerData} data
   * @param {number} steps
   */
  #moved(data, steps) {
    const { series, shape } = data;
    const span = this.#span(data);
    const { first, end } = span;
    // A state lasts from before the chart.
    const isFromBefore = first >= end || (shape === "state" && first > 0);
    const [oldest, newest] = [isFromBefore ? this.#from : series.at[first], first < end ? series.at[end - 1] : this.#to];
    if (this.#cursor === null && Math.abs(steps) === 1) return newest;
    const from = this.#cursor ?? newest;
    const to = Math.min(Math.max(from + (steps * (this.#to - this.#from)) / STEPS, oldest), Math.max(newest, oldest));
    const { index } = readPoint(data, from, span);
    if (shape === "state" || readPoint(data, to, span).index !== index) return to;
    // Several may share a moment.
    const next = steps < 0 ? series.since(series.at[index]) - 1 : index + 1;
    return next >= first && next < end ? series.at[next] : to;
  }

  /**
   * Return the points that are drawn.
   * @param {ProducerData} data
   * @returns {Span}
   */
  #span({ series }) {
    const newest = this.#frame?.newest ?? Infinity;
    return { first: series.since(this.#from), end: Math.min(series.since(this.#to), series.until(newest)) };
  }

  /** @param {number | null} cursor */
  #move(cursor) {
    if (cursor === this.#cursor) return;
    this.#cursor = cursor;
    this.#showReadout();
    // Sooner than the cards are painted: the mark follows the pointer.
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      if (this.#data !== null && this.#frame !== null) this.#redraw(this.#data, this.#frame);
    });
  }

  #showReadout() {
    this.#readout.hidden = this.#cursor === null || this.#data === null;
    if (this.#cursor === null || this.#data === null) return;
    const { keys } = this.#data;
    const { at, texts } = readValues(this.#data, this.#cursor, this.#span(this.#data));
    const named = (/** @type {string} */ text, /** @type {number} */ line) =>
      // A name stays with its value.
      keys[line] === "" ? text : `${keyName(keys[line])} ${text}`.replaceAll(" ", "\u00a0");
    this.#spoken = `${clockText(at)}\u2003${texts.map(named).join(", ") || "no value"}`;
    // Bands have their values beside their names: the time is left, which is beside the others of the chart.
    write(this.#readout, this.#areNamed ? clockText(at) : this.#spoken);
    this.#readout.dataset.at = this.#areNamed ? "foot" : "head";
    const part = (at - this.#from) / (this.#to - this.#from);
    this.#readout.dataset.side = part < 0.5 ? "right" : "left";
    this.#readout.style.setProperty("--mark", `${part * (this.#plot?.width ?? 0)}px`);
  }
}

/** @typedef {{ first: number, end: number }} Span points that are drawn: the first one, and the one after the last */

/**
 * Find what is read out at a moment: the nearest point that is drawn, or of a state, which lasts, the one before.
 * @param {ProducerData} data
 * @param {number} moment milliseconds since the epoch
 * @param {Span} span
 * @returns {{ index: number, at: number }} of the point, -1 for none; and of the mark, milliseconds since the epoch
 */
function readPoint({ series, shape }, moment, { first, end }) {
  if (shape === "state") return { index: Math.min(series.until(moment), end) - 1, at: moment };
  if (first >= end) return { index: -1, at: moment };
  const after = Math.min(Math.max(series.since(moment), first), end);
  let index = after > first && (after === end || nearer(series.at, after, moment)) ? after - 1 : after;
  // The last one of a moment, but not the break after it.
  const isSame = (/** @type {number} */ next) => series.at[next] === series.at[index] && !series.isBreak(next);
  while (index + 1 < end && isSame(index + 1)) index += 1;
  // A gap is no place.
  return { index, at: series.isBreak(index) ? moment : series.at[index] };
}

/**
 * Read out the values of a moment.
 * @param {ProducerData} data
 * @param {number} moment milliseconds since the epoch
 * @param {Span} [span] all by default
 * @returns {{ at: number, texts: string[] }} time of the mark, milliseconds since the epoch; and the value of each line
 */
export function readValues(data, moment, span = { first: 0, end: data.series.length }) {
  const { series, keys, decimals, shape, description } = data;
  const { index, at } = readPoint(data, moment, span);
  const unit = description.unit === "" ? "" : ` ${oneLine(description.unit)}`;
  const texts = keys.map((_, line) => {
    const [low, high] = index < 0 ? [NaN, NaN] : [series.low[line][index], series.high[line][index]];
    if (Number.isNaN(low)) return "no value";
    if (shape === "state") return low !== high ? "true and false" : low > 0 ? "true" : "false";
    const [least, most] = [numberText(low, decimals[line]), numberText(high, decimals[line])];
    return `${least === most ? least : `${least} to ${most}`}${unit}`;
  });
  return { at, texts };
}

/**
 * @param {Float64Array} at
 * @param {number} after
 * @param {number} moment
 */
function nearer(at, after, moment) {
  return moment - at[after - 1] < at[after] - moment;
}

/** @param {number} at milliseconds since the epoch */
export function clockText(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return NONE;
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((each) => String(each).padStart(2, "0")).join(":");
}

/** @param {number} seconds */
function windowText(seconds) {
  return seconds % 60 === 0 || seconds > 600 ? spanText(seconds) : `${seconds} s`;
}
