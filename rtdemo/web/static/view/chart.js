// @ts-check
/**
 * A card's chart: draws when something that it shows has changed, and reads out a moment, by pointer or by arrow keys.
 * @module view/chart
 */
import { write } from "../dom.js";
import { NONE, oneLine } from "../format.js";
import { ChartCanvas } from "../canvas.js";
import { axis, extent } from "./axis.js";
import { drawLineChart, drawNothing } from "./line_chart.js";
import { drawStateChart } from "./state_chart.js";
import { MAX_LINES } from "./producer_data.js";
import { numberText, spanText } from "../value.js";

/** @typedef {import("../canvas.js").Plot} Plot */
/** @typedef {import("./line_chart.js").Stroke} Stroke */
/** @typedef {import("./producer_data.js").ProducerData} ProducerData */

/**
 * @typedef {object} Frame what all charts of one painting share
 * @property {number} now milliseconds since the epoch, by the server's clock
 * @property {number} edge the same, or the moment of the pause: the charts' right edge
 * @property {number} seconds that the charts show
 * @property {boolean} paused
 */

/** Colours of lines: view/lines.css has them. After these they are dashed. */
const COLOURS = 6;
const DASH = [5, 4];
/** Steps of the arrow keys, of the charts' width. */
const STEPS = 100;
const TICK_PX = 70;
/** A chart is drawn before it is scrolled into sight. */
const NEAR = { rootMargin: "200px" };
/** Least time between two drawings that differ only within a column of pixels. */
const REDRAW_MS = 500;
const MIN_TICKS = 3;
/** Free part of the scale beyond values where the producer gives no bound. */
const HEADROOM = 0.06;

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
  /** @type {Frame | null} */
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
    this.#canvas = new ChartCanvas(canvas, changed);
    const watch = new IntersectionObserver((entries) => {
      this.#isNear = entries.some(({ isIntersecting }) => isIntersecting);
      if (this.#isNear) changed();
    }, NEAR);
    watch.observe(this.element);
    this.element.addEventListener("pointermove", (event) => this.#point(event));
    this.element.addEventListener("pointerleave", () => this.#leave());
    this.element.addEventListener("blur", () => this.#leave());
    this.element.addEventListener("keydown", (event) => this.#press(event));
  }

  /**
   * Draw, if something has changed and can be seen.
   * @param {ProducerData} data
   * @param {Frame} frame
   * @returns {boolean} whether it was drawn
   */
  draw(data, frame) {
    const { width, height } = this.#canvas;
    if (!this.#isNear || width < 1 || height < 1) return false;
    const span = frame.seconds * 1000;
    // The edge advances by whole columns, so that nothing is drawn that looks the same.
    const step = span / Math.max(1, Math.round(width));
    const to = (Math.floor(frame.edge / step) + 1) * step;
    const columns = Math.floor((data.at ?? 0) / step);
    const key = [to, columns, data.shape, data.description.low, data.description.high, this.#canvas.version];
    const drawn = `${key.join(" ")} ${data.series.lines} ${frame.paused} ${span} ${data.series.length === 0}`;
    const isSame = drawn === this.#drawn;
    if (isSame && (data.version === this.#dataVersion || Math.abs(frame.now - this.#drawnAt) < REDRAW_MS)) return false;
    this.#drawn = drawn;
    this.#dataVersion = data.version;
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
   * @param {Frame} frame
   */
  #redraw(data, { now, edge, seconds, paused }) {
    const context = this.#canvas.clear();
    const { width, height, palette } = this.#canvas;
    const { series } = data;
    const [from, to, cursor] = [this.#from, this.#to, this.#cursor];
    const [start, end] = [`${windowText(seconds)} ago`, paused ? clockText(edge) : "now"];
    const common = { series, from, to, start: paused ? clockText(from) : start, end, cursor, palette };
    if (data.shape === "state") {
      this.#plot = drawStateChart(context, width, height, { ...common, now });
      return;
    }
    const found = extent(series, from, to);
    if (found.low > found.high) {
      this.#plot = drawNothing(context, width, height, common);
      return;
    }
    const { low, high } = data.description;
    const scale = axis(...bounds(found, low, high), Math.max(MIN_TICKS, Math.round(height / TICK_PX)));
    this.#plot = drawLineChart(context, width, height, { ...common, axis: scale, strokes: this.#colours(series.lines) });
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
   * @param {Frame} frame
   */
  #describe(data, { seconds }) {
    const name = oneLine(data.title);
    this.#canvas.describe(`${name}, the last ${windowText(seconds)}`);
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

  #leave() {
    this.#pointer = null;
    this.#move(null);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const step = (this.#to - this.#from) / STEPS;
    const newest = this.#data?.at ?? this.#to;
    /** @type {Record<string, () => number | null>} */
    const moves = {
      ArrowLeft: () => (this.#cursor === null ? newest : this.#cursor - step),
      ArrowRight: () => (this.#cursor === null ? newest : this.#cursor + step),
      PageUp: () => (this.#cursor ?? newest) - 10 * step,
      PageDown: () => (this.#cursor ?? newest) + 10 * step,
      Home: () => this.#from,
      End: () => newest,
      Escape: () => null,
    };
    const move = moves[event.key];
    if (move === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key !== "Escape") event.preventDefault();
    const to = move();
    this.#pointer = null;
    this.#move(to === null ? null : Math.min(Math.max(to, this.#from), this.#to));
    if (to !== null) this.#announce(this.#readout.textContent ?? "");
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
    const { series } = this.#data ?? {};
    this.#readout.hidden = this.#cursor === null || series === undefined;
    if (this.#cursor === null || series === undefined || this.#data === null) return;
    write(this.#readout, readoutText(this.#data, this.#cursor));
    const part = (this.#cursor - this.#from) / (this.#to - this.#from);
    this.#readout.dataset.side = part < 0.5 ? "right" : "left";
  }
}

/**
 * Return the ends of the scale: the producer's bounds, and all values. Zero is an end if values come near it.
 * @param {{ low: number, high: number }} found
 * @param {number | null} low
 * @param {number | null} high
 * @returns {[number, number]}
 */
function bounds(found, low, high) {
  const room = (found.high - found.low) * HEADROOM;
  const least = low !== null && low <= found.low ? low : found.low - room;
  const most = high !== null && high >= found.high ? high : found.high + room;
  const isNearZero = found.low >= 0 && found.low < (found.high - found.low) / 2;
  return [least < 0 && found.low >= 0 ? 0 : isNearZero ? Math.min(least, 0) : least, most];
}

/**
 * Write the values at a moment: those of the nearest point.
 * @param {ProducerData} data
 * @param {number} moment milliseconds since the epoch
 */
export function readoutText({ series, keys, decimals, shape, description }, moment) {
  const after = series.since(moment);
  let index = after > 0 && (after === series.length || nearer(series.at, after, moment)) ? after - 1 : after;
  // The last one of a moment, but not the break after it.
  const isSame = (/** @type {number} */ next) => series.at[next] === series.at[index] && !series.isBreak(next);
  while (index + 1 < series.length && isSame(index + 1)) index += 1;
  if (series.length === 0) return `${clockText(moment)}  no value`;
  const texts = keys.map((key, line) => {
    const [low, high] = [series.low[line][index], series.high[line][index]];
    const name = key === "" ? "" : `${oneLine(key)} `;
    if (Number.isNaN(low)) return `${name}no value`;
    if (shape === "state") return low !== high ? "true and false" : low > 0 ? "true" : "false";
    const [least, most] = [numberText(low, decimals[line]), numberText(high, decimals[line])];
    const unit = description.unit === "" ? "" : ` ${oneLine(description.unit)}`;
    return `${name}${least === most ? least : `${least} to ${most}`}${unit}`;
  });
  return `${clockText(series.at[index])}  ${texts.join(", ")}`;
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
