// @ts-check
/**
 * The view of what can be taken along: the run as CSV and JSON, and the link to its settings.
 * @module views/export_panel
 */
import { VERSION, csv, dated, figures, settingsLink, table } from "./export.js";
import { part, partOfType, write } from "../dom.js";

/** @typedef {import("../measure/server_clock.js").Clock} Clock */
/** @typedef {import("../producers.js").TransportName} TransportName */
/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("./verdict_panel.js").VerdictPanel} VerdictPanel */
/** @typedef {import("./time_window.js").View} View */

export class ExportPanel {
  #root;
  #sides;
  #view;
  #clock;
  #verdict;
  #outcome = "";

  /**
   * @param {HTMLElement} root
   * @param {Record<TransportName, Side>} sides
   * @param {View} view
   * @param {Clock} clock
   * @param {VerdictPanel} verdict
   */
  constructor(root, sides, view, clock, verdict) {
    this.#root = root;
    this.#sides = sides;
    this.#view = view;
    this.#clock = clock;
    this.#verdict = verdict;
    const press = (/** @type {string} */ name, /** @type {() => void} */ action) => {
      part(root, name).addEventListener("click", action);
    };
    press("csv", () => save("csv", "text/csv", csv(this.#recordings, performance.timeOrigin)));
    press("json", () => save("json", "application/json", [JSON.stringify(this.#run())]));
    press("copy", () => void this.#copy());
  }

  /** Write the link as the settings are now. */
  paint() {
    const { href, whole } = this.#link;
    if (this.#box.value !== href) {
      this.#box.value = href;
      this.#outcome = "";
    }
    const hint = whole ? "" : "The sides differ; the link has WebSocket's choice for both.";
    write(part(this.#root, "link-note"), this.#outcome || hint);
  }

  get #link() {
    const { websocket, sse } = this.#sides;
    return settingsLink(location, websocket.control.chosen, sse.control.chosen, this.#view.window);
  }

  get #recordings() {
    const { websocket, sse } = this.#sides;
    return { websocket: websocket.measuring.recording, sse: sse.measuring.recording };
  }

  get #box() {
    return partOfType(this.#root, "link", HTMLInputElement);
  }

  #run() {
    const now = performance.now();
    const sides = Object.entries(this.#sides).map(([name, { measuring, control }]) => {
      const samples = table(measuring.recording, performance.timeOrigin);
      const spans = dated(measuring.spans.list, performance.timeOrigin);
      return [name, { settings: control.chosen, figures: figures(measuring, now), spans, samples }];
    });
    return {
      format: "rtdemo page run",
      version: VERSION,
      rtdemo: document.documentElement.dataset.version,
      at: new Date().toISOString(),
      url: this.#link.href,
      userAgent: navigator.userAgent,
      clockError: this.#clock.at(now)?.error ?? null,
      verdict: this.#verdict.sentence,
      parity: this.#verdict.lines,
      ...Object.fromEntries(sides),
    };
  }

  /** Where the clipboard is not to be had, as on a page without TLS, the link is selected for the reader to copy. */
  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#box.value);
      this.#outcome = "Copied.";
    } catch {
      this.#box.focus();
      this.#box.select();
      this.#outcome = "The browser does not let this page copy. The link is selected: copy it by its keys.";
    }
    this.paint();
  }
}

/**
 * @param {string} extension
 * @param {string} type
 * @param {string[]} parts
 */
function save(extension, type, parts) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = `rtdemo-${new Date().toISOString().replaceAll(/[:.]/g, "-")}.${extension}`;
  link.click();
  // The browser reads it after this turn; a minute is long enough to have begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
