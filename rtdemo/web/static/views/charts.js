// @ts-check
/**
 * The view of the pictures: a strip for each side and both histograms, on one scale. Each is drawn where something that
 * it shows has changed, and only then.
 * @module views/charts
 */
import { GUTTER, drawStrip, largest } from "./strip_chart.js";
import { stated } from "../format.js";
import { topDecade } from "./latency_scale.js";
import { drawOverlay } from "./histogram_chart.js";
import { part } from "../dom.js";
import { LABELS, TRANSPORTS } from "../producers.js";
import { words } from "../measure/spans.js";
import { Surface } from "./canvas.js";

/** @typedef {import("../measure/server_clock.js").Clock} Clock */
/** @typedef {import("../measure/histogram.js").Histogram} Histogram */
/** @typedef {import("./histogram_chart.js").Curve} Curve */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("../measure/spans.js").Span} Span */
/** @typedef {import("./time_window.js").View} View */

/** Spans that a description names. */
const TOLD = 3;

export class Charts {
  #sides;
  #view;
  #clock;
  #strips;
  #overlay;
  /** @type {Map<Surface, string>} what each picture shows */
  #drawn = new Map();
  /** When a connection was last active: without one, time stands still. */
  #lively = 0;
  #active = false;
  #held = false;
  /** @type {Curve[]} */
  #curves = [];
  /** @type {number | null} what the clock may be wrong by */
  #error = null;
  #top = topDecade(0);

  /**
   * @param {Document} document
   * @param {Record<TransportName, Side>} sides
   * @param {View} view
   * @param {Clock} clock
   * @param {() => void} changed called when the charts want to be painted
   */
  constructor(document, sides, view, clock, changed) {
    this.#sides = sides;
    this.#view = view;
    this.#clock = clock;
    this.#strips = TRANSPORTS.map((name) => new Surface(part(part(document, name), "strip"), changed));
    this.#overlay = new Surface(part(document, "overlay"), changed);
  }

  /** Draw what has changed. */
  paint() {
    const now = performance.now();
    const active = TRANSPORTS.some((name) => this.#sides[name].active);
    // The picture has the moment of the end on it, too.
    if (active || this.#active) this.#lively = now;
    this.#active = active;
    const { from, to } = this.#view.range(this.#lively, this.#strips[0].width - GUTTER);
    this.#hold(to);
    const rings = TRANSPORTS.map((name) => this.#sides[name].measuring.recording.ring);
    this.#top = topDecade(Math.max(...rings.map((ring) => largest(ring, from, to))));
    TRANSPORTS.forEach((name, index) => this.#paintStrip(this.#strips[index], name, from, to));
    this.#paintOverlay();
  }

  /**
   * Take what is shown: as it is now, or as it was at the Pause.
   * @param {number} to
   */
  #hold(to) {
    const paused = this.#view.paused !== null;
    if (paused && this.#held) return;
    this.#held = paused;
    this.#error = this.#clock.at(to)?.error ?? null;
    this.#curves = TRANSPORTS.map((side) => {
      const { histogram, error } = this.#sides[side].measuring.recording;
      return { side, name: LABELS[side], histogram: paused ? histogram.copy() : histogram, error };
    });
  }

  /**
   * @param {Surface} surface
   * @param {TransportName} side
   * @param {number} from
   * @param {number} to
   */
  #paintStrip(surface, side, from, to) {
    const { recording, spans } = this.#sides[side].measuring;
    const { paused } = this.#view;
    const total = paused === null ? `${recording.ring.total} ${spans.state}` : "";
    if (!this.#isOld(surface, `${from} ${to} ${this.#top} ${paused} ${total}`)) return;
    const context = surface.begin();
    const end = paused === null ? "now" : "paused";
    const known = spans.until(to);
    const scene = { ring: recording.ring, spans: known, from, to, top: this.#top, error: this.#error, end, side };
    drawStrip(context, surface.width, surface.height, { ...scene, palette: surface.palette });
    surface.describe(this.#description(side, known, to));
  }

  #paintOverlay() {
    const curves = this.#curves;
    const paused = this.#view.paused !== null;
    const counts = paused ? "paused" : curves.map(({ histogram }) => histogram.count).join(" ");
    if (!this.#isOld(this.#overlay, counts)) return;
    const context = this.#overlay.begin();
    const { width, height, palette } = this.#overlay;
    const top = topDecade(Math.max(...curves.map(({ histogram }) => histogram.max ?? 0)));
    drawOverlay(context, width, height, { curves, top, palette });
    const told = curves.map(({ name, histogram, error }) => `${name}: ${figures(histogram, error)}`);
    this.#overlay.describe(`Both histograms of latency. ${told.join(". ")}.`);
  }

  /**
   * @param {Surface} surface
   * @param {string} shown
   */
  #isOld(surface, shown) {
    const key = `${surface.age} ${devicePixelRatio} ${shown}`;
    if (this.#drawn.get(surface) === key) return false;
    this.#drawn.set(surface, key);
    return true;
  }

  /**
   * Say in words what a strip shows.
   * @param {TransportName} side
   * @param {Span[]} spans
   * @param {number} now
   */
  #description(side, spans, now) {
    const { histogram, error } = this.#curves[TRANSPORTS.indexOf(side)];
    const span = this.#view.window === 60 ? "minute" : "ten minutes";
    const happened = spans.slice(-TOLD).map((each) => words(each, now));
    const told = happened.length === 0 ? "" : ` What happened: ${happened.join(", ")}.`;
    return `${LABELS[side]} latency over the last ${span}: ${figures(histogram, error)}.${told}`;
  }
}

/**
 * @param {Histogram} histogram
 * @param {number | null} error
 */
function figures(histogram, error) {
  if (histogram.count === 0) return "no messages yet";
  const told = [50, 99].flatMap((percent) => {
    const value = histogram.percentile(percent);
    return value === null ? [] : [`p${percent} ${stated(value, error)}`];
  });
  return [`${histogram.count} messages`, ...told, `largest ${stated(histogram.max, error)}`].join(", ");
}
