// @ts-check
/**
 * Shows one side: writes what changed, and forwards clicks.
 * @module panels/panel
 */
import { MessageList } from "./message_list.js";
import { enable, onPress, part, partOfType, write } from "../dom.js";

/** @typedef {import("../connection/side.js").Side} Side */

export class Panel {
  #root;
  #side;
  #list;
  /** @type {string} */
  #announced = "idle";

  /**
   * @param {HTMLElement} root
   * @param {Side} side
   * @param {(side: Side) => void} reset clears a side's figures, and what was derived from them
   * @param {() => void} changed called when the panel itself wants to be painted
   */
  constructor(root, side, reset, changed) {
    this.#root = root;
    this.#side = side;
    this.#list = new MessageList(part(root, "messages"), changed);
    onPress(part(root, "connect"), () => side.connect());
    onPress(part(root, "disconnect"), () => side.disconnect());
    onPress(part(root, "reset"), () => reset(side));
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
    enable(part(this.#root, "connect"), !active);
    enable(part(this.#root, "disconnect"), active);
    enable(part(this.#root, "send"), open);
    this.#write("sending", sender.error || (part(this.#root, "sending").dataset.hint ?? ""));
    part(this.#root, "sending").classList.toggle("alert", sender.error !== "");
    this.#list.paint(recent.messages);
    this.#write("held", this.#list.paused ? "paused while you read; Esc resumes" : "latest arrival first");
    part(this.#root, "empty").hidden = recent.messages.length > 0;
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
   * @param {string} text
   */
  #write(name, text) {
    write(part(this.#root, name), text);
  }
}
