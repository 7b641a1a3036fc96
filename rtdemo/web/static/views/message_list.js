// @ts-check
/**
 * The view of the last messages: ten rows that are written over, never added or removed, so that nothing moves.
 * A row with the focus shows its whole text and holds the list until the focus leaves.
 * @module views/message_list
 */
import { clip, oneLine, timeOfDay, visible } from "../format.js";
import { KEPT } from "../connection/side.js";

/** @typedef {import("../message.js").Message} Message */

/** Characters put on a row; it shows fewer, and a focused one shows all. */
const ROW = 400;

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
    this.close();
  }

  /** Show the whole text. */
  open() {
    this.#text.textContent = this.#message && visible(this.#message.message);
  }

  /** Show the text on one line. */
  close() {
    const line = this.#message === null ? "" : oneLine(clip(this.#message.message, ROW));
    this.#text.textContent = line;
    this.element.title = line;
  }
}

export class MessageList {
  #rows = Array.from({ length: KEPT }, () => new Row());
  #released;
  /** Whether a reader holds the list. */
  held = false;

  /**
   * @param {HTMLElement} list
   * @param {() => void} released called when the reader lets go
   */
  constructor(list, released) {
    this.#released = released;
    list.append(...this.#rows.map(({ element }) => element));
    list.addEventListener("focusin", ({ target }) => this.#hold(target));
    list.addEventListener("focusout", ({ target }) => this.#release(target));
    list.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Message[]} messages newest first */
  paint(messages) {
    if (messages.length === 0) this.held = false;
    if (this.held) return;
    this.#rows.forEach((row, index) => {
      row.show(messages[index] ?? null);
      // One stop for the Tab key; the arrow keys go on from there.
      const stop = index < messages.length ? (index === 0 ? "0" : "-1") : null;
      if (row.element.getAttribute("tabindex") === stop) return;
      if (stop === null) row.element.removeAttribute("tabindex");
      else row.element.setAttribute("tabindex", stop);
    });
  }

  /** @param {EventTarget | null} target */
  #hold(target) {
    this.held = true;
    this.#rows.find(({ element }) => element === target)?.open();
    this.#released();
  }

  /** @param {EventTarget | null} target */
  #release(target) {
    this.held = false;
    this.#rows.find(({ element }) => element === target)?.close();
    this.#released();
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
