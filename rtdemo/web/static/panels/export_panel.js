// @ts-check
/**
 * Shows the export: the run as CSV and JSON, and a link to the settings.
 * @module panels/export_panel
 */
import { FORMAT_VERSION, csv, figures, json, settingsLink, spansSinceEpoch } from "./export.js";
import { part, partOfType, write } from "../dom.js";
import { collected } from "./slices.js";

/** @typedef {import("../measure/server_clock.js").ServerClock} ServerClock */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {{ sentence: string, lines: import("../compare/parity.js").Line[] }} Verdict */
/** @typedef {import("./time_window.js").TimeWindow} TimeWindow */

export class ExportPanel {
  #root;
  #sides;
  #timeWindow;
  #clock;
  #verdict;
  #outcome = "";

  /**
   * @param {HTMLElement} root
   * @param {Record<TransportName, Side>} sides
   * @param {TimeWindow} timeWindow
   * @param {ServerClock} clock
   * @param {Verdict} verdict read when the run is saved
   */
  constructor(root, sides, timeWindow, clock, verdict) {
    this.#root = root;
    this.#sides = sides;
    this.#timeWindow = timeWindow;
    this.#clock = clock;
    this.#verdict = verdict;
    const press = (/** @type {string} */ name, /** @type {() => void} */ action) => {
      part(root, name).addEventListener("click", action);
    };
    press("csv", () => void save("csv", "text/csv", csv(this.#recordings, performance.timeOrigin)));
    press("json", () => void save("json", "application/json", this.#json()));
    press("copy", () => void this.#copy());
  }

  /** Write the link to the current settings. */
  paint() {
    const href = this.#link;
    if (this.#box.value !== href) {
      this.#box.value = href;
      this.#outcome = "";
    }
    write(part(this.#root, "link-note"), this.#outcome);
  }

  get #link() {
    const { websocket, sse } = this.#sides;
    return settingsLink(location, websocket.selection.chosen, sse.selection.chosen, this.#timeWindow.seconds);
  }

  get #recordings() {
    const { websocket, sse } = this.#sides;
    return { websocket: websocket.measurement.recording, sse: sse.measurement.recording };
  }

  get #box() {
    return partOfType(this.#root, "link", HTMLInputElement);
  }

  #json() {
    const now = performance.now();
    const sides = Object.entries(this.#sides).map(([name, { measurement, selection }]) => {
      const spans = spansSinceEpoch(measurement.spans.list, performance.timeOrigin);
      return [name, { settings: selection.chosen, figures: figures(measurement, now), spans }];
    });
    const run = {
      format: "rtdemo page run",
      version: FORMAT_VERSION,
      rtdemo: document.documentElement.dataset.version,
      at: new Date().toISOString(),
      url: this.#link,
      userAgent: navigator.userAgent,
      clockError: this.#clock.at(now)?.error ?? null,
      verdict: this.#verdict.sentence,
      parity: this.#verdict.lines,
    };
    return json(run, Object.fromEntries(sides), this.#recordings, performance.timeOrigin);
  }

  /** Copy the link. Without access to the clipboard, as on a page without TLS, select it for the reader to copy. */
  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#box.value);
      this.#outcome = "Copied.";
    } catch {
      this.#box.focus();
      this.#box.select();
      this.#outcome = "The browser does not allow copying. The link is selected: copy it with the keyboard.";
    }
    this.paint();
  }
}

/**
 * @param {string} extension
 * @param {string} type
 * @param {Iterator<string>} texts
 */
async function save(extension, type, texts) {
  const parts = await collected(texts);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = `rtdemo-${new Date().toISOString().replaceAll(/[:.]/g, "-")}.${extension}`;
  link.click();
  // The browser reads the data after this turn; within a minute it has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
