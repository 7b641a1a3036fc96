// @ts-check
/**
 * Shows one side: writes what changed, and forwards clicks.
 * @module views/panel
 */
import { Figures } from "./figures.js";
import { MessageList } from "./message_list.js";
import { part, partOfType, write } from "../dom.js";

/** @typedef {import("../measure/faults.js").Fault} Fault */
/** @typedef {import("../connection/side.js").Side} Side */

/** @type {Fault[]} */
const FAULTS = ["cut", "stop", "delay"];

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
   * @param {() => string} connectParts the parts of the time to connect; empty if the browser never records them
   * @param {import("./time_window.js").TimeWindow} timeWindow whose pause ends with a Reset
   * @param {() => void} changed called when the panel itself wants to be painted
   */
  constructor(root, side, connectParts, timeWindow, changed) {
    this.#root = root;
    this.#side = side;
    this.#figures = new Figures(root, side, connectParts);
    this.#list = new MessageList(part(root, "messages"), changed);
    this.#press("connect", () => side.connect());
    this.#press("disconnect", () => side.disconnect());
    this.#press("reset", () => {
      timeWindow.pausedAt = null;
      side.reset();
    });
    for (const kind of this.#offeredFaults) this.#press(kind, () => side.injectFault(kind));
    part(root, "form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  /** Write the side's current state. */
  paint() {
    const { state, sentence, alert, active, open, recent, sender } = this.#side;
    this.#root.dataset.state = state;
    this.#write("state", state);
    this.#write("sentence", sentence);
    part(this.#root, "sentence").classList.toggle("alert", alert);
    this.#announce(state, sentence);
    this.#enable("connect", !active);
    this.#enable("disconnect", active);
    this.#enable("send", open);
    this.#write("sending", sender.error || (part(this.#root, "sending").dataset.hint ?? ""));
    part(this.#root, "sending").classList.toggle("alert", sender.error !== "");
    this.#figures.paint();
    this.#paintFaults();
    this.#list.paint(recent.messages);
    this.#write("held", this.#list.paused ? "paused while you read; Esc resumes" : "newest first");
    part(this.#root, "empty").hidden = recent.messages.length > 0;
  }

  /** Empty if the server disables fault injection. */
  get #offeredFaults() {
    return FAULTS.filter((kind) => this.#root.querySelector(`[data-part="${kind}"]`) !== null);
  }

  #paintFaults() {
    const { open, measurement } = this.#side;
    const { kind: current, pending, refusal } = measurement.faults;
    const offered = this.#offeredFaults;
    const can = (/** @type {Fault} */ kind) => current === null || (current === kind && kind === "delay");
    for (const kind of offered) this.#enable(kind, open && !pending && can(kind));
    if (offered.length === 0) return;
    part(this.#root, "delay").setAttribute("aria-pressed", String(current === "delay"));
    this.#write("faults-note", refusal || (part(this.#root, "faults-note").dataset.hint ?? ""));
    part(this.#root, "faults-note").classList.toggle("alert", refusal !== "");
  }

  /**
   * Announce a new state to screen readers, and nothing else.
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
    void this.#side.sender.sendText(box.value);
    // Typing then replaces the text, and Enter sends it again.
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
   * Mark a button as unavailable. It keeps the focus, which `disabled` would remove.
   * @param {string} name
   * @param {boolean} enabled
   */
  #enable(name, enabled) {
    part(this.#root, name).setAttribute("aria-disabled", String(!enabled));
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #write(name, text) {
    write(part(this.#root, name), text);
  }
}
