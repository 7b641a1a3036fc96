// @ts-check
/**
 * Shows the last messages in ten fixed rows, so that nothing moves. A focused row shows its whole text and pauses the
 * list until the focus leaves.
 * @module panels/message_list
 */
import { clip, oneLine, timeOfDay, visible } from "../format.js";
import { MAX_RECENT_MESSAGES } from "../connection/recent.js";
import { lineText } from "../value.js";

/** @typedef {import("../message.js").Message} Message */

/** Bound on the characters of a row that is not focused. */
const MAX_ROW_CHARS = 400;

class Row {
  element = document.createElement("li");
  #time = document.createElement("time");
  #producer = document.createElement("span");
  #text = document.createElement("bdi");
  /** @type {Message | null} */
  #message = null;

  constructor() {
    this.#producer.className = "producer";
    this.#text.className = "text";
    this.element.append(this.#time, this.#producer, this.#text);
  }

  /** @param {Message | null} message */
  show(message) {
    if (message === this.#message) return;
    this.#message = message;
    this.#time.textContent = message && timeOfDay(message.sentAt);
    this.#producer.textContent = message && oneLine(clip(message.producer, 40));
    this.#text.dataset.kind = typeof message?.value === "number" ? "number" : "text";
    this.close();
  }

  /** Show the whole text. */
  open() {
    this.#text.textContent = this.#message && visible(this.#message.message);
  }

  /** Show the text on one line. */
  close() {
    const line = this.#message === null ? "" : oneLine(clip(lineText(this.#message), MAX_ROW_CHARS));
    this.#text.textContent = line;
    this.element.title = line;
  }
}

export class MessageList {
  #rows = Array.from({ length: MAX_RECENT_MESSAGES }, () => new Row());
  #changed;
  /** Whether a focused row pauses the list. */
  paused = false;

  /**
   * @param {HTMLElement} list
   * @param {() => void} changed called when the pause begins or ends
   */
  constructor(list, changed) {
    this.#changed = changed;
    list.append(...this.#rows.map(({ element }) => element));
    list.addEventListener("focusin", ({ target }) => this.#pause(target));
    list.addEventListener("focusout", ({ target }) => this.#resume(target));
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Message[]} messages newest first */
  paint(messages) {
    if (messages.length === 0) this.paused = false;
    if (this.paused) return;
    this.#rows.forEach((row, index) => {
      row.show(messages[index] ?? null);
      // The list is one stop of the Tab key; the arrow keys move within it.
      const stop = index < messages.length ? (index === 0 ? "0" : "-1") : null;
      if (row.element.getAttribute("tabindex") === stop) return;
      if (stop === null) row.element.removeAttribute("tabindex");
      else row.element.setAttribute("tabindex", stop);
    });
  }

  /** @param {EventTarget | null} target */
  #pause(target) {
    this.paused = true;
    this.#rows.find(({ element }) => element === target)?.open();
    this.#changed();
  }

  /** @param {EventTarget | null} target */
  #resume(target) {
    this.paused = false;
    this.#rows.find(({ element }) => element === target)?.close();
    this.#changed();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const index = this.#rows.findIndex(({ element }) => element === document.activeElement);
    if (event.key === "Escape") this.#rows[index]?.element.blur();
    const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0 }[event.key];
    const row = next === undefined ? undefined : this.#rows[next];
    if (!row?.element.hasAttribute("tabindex")) return;
    event.preventDefault();
    row.element.focus();
  }
}
