// @ts-check
/**
 * The view of one side: writes what changed, and hands clicks on.
 * @module panel
 */
import { count, milliseconds, reading } from "./format.js";
import { MessageList } from "./messages.js";
import { part, write } from "./page.js";
import { completeness } from "./stats.js";

/** @typedef {import("./side.js").Side} Side */

export class Panel {
  #root;
  #side;
  #list;
  /** @type {string} */
  #announced = "idle";

  /**
   * @param {HTMLElement} root
   * @param {Side} side
   * @param {() => void} changed called when the panel itself wants to be painted
   */
  constructor(root, side, changed) {
    this.#root = root;
    this.#side = side;
    this.#list = new MessageList(part(root, "messages"), changed);
    this.#press("connect", () => side.connect());
    this.#press("disconnect", () => side.disconnect());
    this.#press("reset", () => side.reset());
    part(root, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  /** Write what the side knows now. */
  paint() {
    const { state, sentence, fault, active, open, recent, sending } = this.#side;
    this.#root.dataset.state = state;
    this.#write("state", state);
    this.#write("sentence", sentence);
    part(this.#root, "sentence").classList.toggle("fault", fault);
    this.#announce(state, sentence);
    this.#enable("connect", !active);
    this.#enable("disconnect", active);
    this.#enable("send", open);
    this.#write("sending", sending || (part(this.#root, "sending").dataset.hint ?? ""));
    part(this.#root, "sending").classList.toggle("fault", sending !== "");
    this.#figures();
    this.#list.paint(recent.messages);
    this.#write("held", this.#list.held ? "held while you read; Esc lets go" : "newest first");
    part(this.#root, "empty").hidden = recent.messages.length > 0;
  }

  #figures() {
    const { stats, exchange } = this.#side;
    const latency = reading(stats.latency.value, stats.error.value);
    this.#write("received", count(stats.received));
    this.#write("received-note", completeness(stats));
    this.#write("latency-prefix", latency.prefix);
    this.#write("latency", latency.value);
    this.#write("latency-note", latency.note);
    this.#write("opening", milliseconds(stats.opening));
    this.#write("round-trip", milliseconds(exchange.roundTrip));
    this.#write("round-trip-note", exchange.note);
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
    const box = part(this.#root, "text");
    if (!(box instanceof HTMLInputElement)) return;
    box.focus();
    if (box.value === "" || !this.#side.open) return;
    void this.#side.send(box.value);
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
