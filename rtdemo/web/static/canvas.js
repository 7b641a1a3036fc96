// @ts-check
/**
 * A chart's canvas: sharp on any screen, in the light, dark or forced colours around it, at any size.
 * @module canvas
 */

/** @typedef {{ left: number, top: number, width: number, height: number }} Plot where a chart's values are, pixels */
/** @typedef {Record<"paper" | "ink" | "quiet" | "hairline" | "websocket" | "sse" | "waiting", string>} Palette */

export class ChartCanvas {
  width = 0;
  height = 0;
  /** @type {Palette} */
  palette;
  /** Counts changes of size and colours, after which the chart must be drawn again. */
  version = 0;
  #canvas;
  #context;
  /** Not rendered: computes colours, which a variable does not, such as light-dark(…). */
  #probe = document.createElement("i");

  /**
   * @param {HTMLElement} element a canvas
   * @param {() => void} changed called when the chart must be drawn again
   */
  constructor(element, changed) {
    if (!(element instanceof HTMLCanvasElement)) throw new Error("The template's chart is not a canvas");
    const context = element.getContext("2d");
    if (context === null) throw new Error("This browser does not support canvas");
    this.#canvas = element;
    this.#context = context;
    element.append(this.#probe);
    element.style.setProperty("forced-color-adjust", "none");
    this.palette = this.#colours();
    const renew = () => {
      this.palette = this.#colours();
      this.version += 1;
      changed();
    };
    // Reading the element's size would lay out the page at every painting.
    new ResizeObserver(([{ contentRect }]) => {
      this.width = contentRect.width;
      this.height = contentRect.height;
      renew();
    }).observe(element);
    // Whatever changes the colours, be it the page's own color-scheme, begins a transition of this one.
    element.style.color = "var(--ink)";
    element.style.transition = "color 1ms";
    element.addEventListener("transitionrun", renew);
  }

  /** Clear the canvas, at its current size and resolution, and return its context. */
  clear() {
    const { width, height } = this;
    const ratio = devicePixelRatio || 1;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    // Setting a size, even the same one, allocates a new buffer.
    if (this.#canvas.width !== across || this.#canvas.height !== down) {
      this.#canvas.width = across;
      this.#canvas.height = down;
    }
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#context.clearRect(0, 0, width, height);
    this.#context.globalAlpha = 1;
    return this.#context;
  }

  /** Describe the chart to screen readers. @param {string} text */
  describe(text) {
    if (this.#canvas.getAttribute("aria-label") !== text) this.#canvas.setAttribute("aria-label", text);
  }

  /**
   * Return a colour of the stylesheet; it may change with `version`.
   * @param {string} name of its variable, without dashes
   */
  colour(name) {
    this.#probe.style.color = `var(--${name})`;
    return getComputedStyle(this.#probe).color;
  }

  /** @returns {Palette} */
  #colours() {
    const colour = (/** @type {string} */ name) => this.colour(name);
    return {
      paper: colour("paper"),
      ink: colour("ink"),
      quiet: colour("quiet"),
      hairline: colour("hairline"),
      websocket: colour("websocket"),
      sse: colour("sse"),
      waiting: colour("waiting"),
    };
  }
}
