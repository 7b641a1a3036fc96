// @ts-check
/**
 * The view of one side: writes what changed, and hands clicks on.
 * @module views/panel
 */
import { FiguresView } from "./figures.js";
import { MessageList } from "./message_list.js";
import { part, partOfType, write } from "../dom.js";

/** @typedef {import("../measure/faults.js").Break} Break */
/** @typedef {import("../connection/side.js").Side} Side */

/** @type {Break[]} */
const BREAKS = ["cut", "stop", "delay"];

export class Panel {
  #root;
  #side;
  #figures;
  #list;
  /** @type {string} */
  #announced = "idle";

  /**
   * @param {HTMLElement} root
   * @param {Side} side
   * @param {() => string} parts says what the connection's time was spent on; empty where the browser never tells
   * @param {import("./time_window.js").View} view whose pause ends with a Reset
   * @param {() => void} changed called when the panel itself wants to be painted
   */
  constructor(root, side, parts, view, changed) {
    this.#root = root;
    this.#side = side;
    this.#figures = new FiguresView(root, side, parts);
    this.#list = new MessageList(part(root, "messages"), changed);
    this.#press("connect", () => side.connect());
    this.#press("disconnect", () => side.disconnect());
    this.#press("reset", () => {
      view.paused = null;
      side.reset();
    });
    for (const kind of this.#breaks) this.#press(kind, () => side.break(kind));
    part(root, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  /** Write what the side knows now. */
  paint() {
    const { state, sentence, fault, active, open, recent, speech } = this.#side;
    this.#root.dataset.state = state;
    this.#write("state", state);
    this.#write("sentence", sentence);
    part(this.#root, "sentence").classList.toggle("fault", fault);
    this.#announce(state, sentence);
    this.#enable("connect", !active);
    this.#enable("disconnect", active);
    this.#enable("send", open);
    this.#write("sending", speech.sending || (part(this.#root, "sending").dataset.hint ?? ""));
    part(this.#root, "sending").classList.toggle("fault", speech.sending !== "");
    this.#figures.paint();
    this.#paintBreaks();
    this.#list.paint(recent.messages);
    this.#write("held", this.#list.held ? "held while you read; Esc lets go" : "newest first");
    part(this.#root, "empty").hidden = recent.messages.length > 0;
  }

  /** The server may offer none: then a sentence stands where the buttons would. */
  get #breaks() {
    return BREAKS.filter((kind) => this.#root.querySelector(`[data-part="${kind}"]`) !== null);
  }

  #paintBreaks() {
    const { open, measuring } = this.#side;
    const { kind: lasting, asking, refusal } = measuring.breaks;
    const offered = this.#breaks;
    const can = (/** @type {Break} */ kind) => lasting === null || (lasting === kind && kind === "delay");
    for (const kind of offered) this.#enable(kind, open && !asking && can(kind));
    if (offered.length === 0) return;
    part(this.#root, "delay").setAttribute("aria-pressed", String(lasting === "delay"));
    this.#write("breaking", refusal || (part(this.#root, "breaking").dataset.hint ?? ""));
    part(this.#root, "breaking").classList.toggle("fault", refusal !== "");
  }

  /**
   * Tell screen readers about a new state, and about nothing else.
   * @param {string} state
   * @param {string} sentence
   */
  #announce(state, sentence) {
    if (state === this.#announced) return;
    this.#announced = state;
    this.#write("announcement", `${this.#root.dataset.name}: ${state}. ${sentence}`);
  }

  #send() {
    const box = partOfType(this.#root, "text", HTMLInputElement);
    box.focus();
    if (box.value === "" || !this.#side.open) return;
    void this.#side.speech.say(box.value);
    // Typing replaces it, Enter sends it again.
    box.select();
  }

  /**
   * @param {string} name
   * @param {() => void} action
   */
  #press(name, action) {
    const button = part(this.#root, name);
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") action();
    });
  }

  /**
   * A button that cannot act says so and keeps the focus, which `disabled` would take away.
   * @param {string} name
   * @param {boolean} able
   */
  #enable(name, able) {
    part(this.#root, name).setAttribute("aria-disabled", String(!able));
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #write(name, text) {
    write(part(this.#root, name), text);
  }
}
