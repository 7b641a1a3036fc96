// @ts-check
/**
 * Draws the charts: latency over time for each side, and both histograms, on one scale. Each is drawn only when something
 * that it shows has changed.
 * @module panels/charts
 */
import { GUTTER_PX, drawStripChart, largestLatency } from "./strip_chart.js";
import { readingText } from "../format.js";
import { topDecade } from "./latency_scale.js";
import { drawHistogramChart } from "./histogram_chart.js";
import { part } from "../dom.js";
import { TRANSPORT_LABELS, TRANSPORTS } from "../producers.js";
import { settledCount } from "../measure/histogram.js";
import { spanText } from "../measure/spans.js";
import { ChartCanvas } from "../canvas.js";

/** @typedef {import("../measure/server_clock.js").ServerClock} ServerClock */
/** @typedef {import("../measure/histogram.js").Histogram} Histogram */
/** @typedef {import("./histogram_chart.js").Curve} Curve */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../measure/spans.js").Span} Span */
/** @typedef {import("./time_window.js").TimeWindow} TimeWindow */

/** Bound on spans that a description names. */
const MAX_SPANS_DESCRIBED = 3;

export class Charts {
  #sides;
  #timeWindow;
  #clock;
  #strips;
  #histogramChart;
  /** @type {Map<ChartCanvas, string>} key of what each chart shows */
  #drawn = new Map();
  /** performance.now() when a connection was last active; without one the charts stop. */
  #activeAt = 0;
  #wasActive = false;
  /** @type {number | null} performance.now() at the Pause whose figures are drawn; null while they are the current ones */
  #pausedAt = null;
  /** @type {Curve[]} */
  #curves = [];
  /** @type {number | null} error of the server clock, milliseconds */
  #error = null;
  #top = topDecade(0);

  /**
   * @param {Document} document
   * @param {Record<TransportName, Side>} sides
   * @param {TimeWindow} timeWindow
   * @param {ServerClock} clock
   * @param {() => void} changed requests a painting
   */
  constructor(document, sides, timeWindow, clock, changed) {
    this.#sides = sides;
    this.#timeWindow = timeWindow;
    this.#clock = clock;
    this.#strips = TRANSPORTS.map((name) => new ChartCanvas(part(part(document, name), "strip"), changed));
    this.#histogramChart = new ChartCanvas(part(document, "histogram"), changed);
  }

  /**
   * Draw what has changed. Yields after each chart that was drawn, for the next frame.
   * @returns {Generator<undefined, void>}
   */
  *paint() {
    const now = performance.now();
    const active = TRANSPORTS.some((name) => this.#sides[name].active);
    // The chart also shows the moment at which the connection ended.
    if (active || this.#wasActive) this.#activeAt = now;
    this.#wasActive = active;
    const { from, to } = this.#timeWindow.range(this.#activeAt, this.#strips[0].width - GUTTER_PX);
    this.#takeCurves(to);
    const rings = TRANSPORTS.map((name) => this.#sides[name].measurement.recording.ring);
    this.#top = topDecade(Math.max(...rings.map((ring) => largestLatency(ring, from, to))));
    for (const [index, name] of TRANSPORTS.entries()) {
      if (this.#paintStrip(this.#strips[index], name, from, to)) yield;
    }
    if (this.#paintHistogramChart()) yield;
  }

  /**
   * Take the figures to show: the current ones, or those at the Pause.
   * @param {number} to
   */
  #takeCurves(to) {
    const { pausedAt } = this.#timeWindow;
    if (pausedAt !== null && pausedAt === this.#pausedAt) return;
    this.#pausedAt = pausedAt;
    this.#error = this.#clock.at(to)?.error ?? null;
    this.#curves = TRANSPORTS.map((side) => {
      const { histogram, error } = this.#sides[side].measurement.recording;
      return { side, name: TRANSPORT_LABELS[side], histogram: pausedAt === null ? histogram : histogram.copy(), error };
    });
  }

  /**
   * @param {ChartCanvas} canvas
   * @param {TransportName} side
   * @param {number} from
   * @param {number} to
   * @returns {boolean} whether it was drawn
   */
  #paintStrip(canvas, side, from, to) {
    const { recording, spans } = this.#sides[side].measurement;
    // That of this painting: a Pause between two of its frames is drawn by the next one.
    const pausedAt = this.#pausedAt;
    const total = pausedAt === null ? `${recording.ring.total} ${spans.state}` : "";
    if (!this.#needsDrawing(canvas, `${from} ${to} ${this.#top} ${pausedAt} ${total}`)) return false;
    const context = canvas.clear();
    const end = pausedAt === null ? "now" : "paused";
    const known = spans.until(to);
    // That of the figures beside it. The clock's own error grows until the next reading.
    const error = this.#curves[TRANSPORTS.indexOf(side)].error ?? this.#error;
    const scene = { ring: recording.ring, spans: known, from, to, top: this.#top, error, end, side };
    drawStripChart(context, canvas.width, canvas.height, { ...scene, palette: canvas.palette });
    canvas.describe(this.#description(side, known, to));
    return true;
  }

  /** @returns {boolean} whether it was drawn */
  #paintHistogramChart() {
    const curves = this.#curves;
    const pausedAt = this.#pausedAt;
    const counts = pausedAt === null ? curves.map(({ histogram }) => histogram.count).join(" ") : `paused ${pausedAt}`;
    if (!this.#needsDrawing(this.#histogramChart, counts)) return false;
    const context = this.#histogramChart.clear();
    const { width, height, palette } = this.#histogramChart;
    const top = topDecade(Math.max(...curves.map(({ histogram }) => histogram.max ?? 0)));
    drawHistogramChart(context, width, height, { curves, top, palette });
    const descriptions = curves.map(({ name, histogram, error }) => `${name}: ${figures(histogram, error)}`);
    this.#histogramChart.describe(`Both histograms of latency. ${descriptions.join(". ")}.`);
    return true;
  }

  /**
   * @param {ChartCanvas} canvas
   * @param {string} shown
   */
  #needsDrawing(canvas, shown) {
    const key = `${canvas.version} ${devicePixelRatio} ${shown}`;
    // One in a folded section has no size, and changes its version when it gets one.
    if (canvas.width === 0 || this.#drawn.get(canvas) === key) return false;
    this.#drawn.set(canvas, key);
    return true;
  }

  /**
   * Describe a latency chart in words.
   * @param {TransportName} side
   * @param {Span[]} spans
   * @param {number} now
   */
  #description(side, spans, now) {
    const { histogram, error } = this.#curves[TRANSPORTS.indexOf(side)];
    const span = this.#timeWindow.seconds === 60 ? "minute" : "ten minutes";
    const happened = spans.slice(-MAX_SPANS_DESCRIBED).map((each) => spanText(each, now));
    const events = happened.length === 0 ? "" : ` Events: ${happened.join(", ")}.`;
    return `${TRANSPORT_LABELS[side]} latency over the last ${span}: ${figures(histogram, error)}.${events}`;
  }
}

/**
 * @param {Histogram} histogram
 * @param {number | null} error
 */
function figures(histogram, error) {
  if (histogram.count === 0) return "no messages yet";
  const percentiles = [50, 99].flatMap((percent) => {
    const value = histogram.percentile(percent);
    const isRough = percent > 50 && histogram.count < settledCount(percent);
    return value === null || isRough ? [] : [`p${percent} ${readingText(value, error)}`];
  });
  return [`${histogram.count} messages`, ...percentiles, `largest ${readingText(histogram.max, error)}`].join(", ");
}
