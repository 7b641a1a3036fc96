// @ts-check
/**
 * Parses an event stream incrementally (WHATWG HTML, section 9.2.6). Pure.
 *
 * EventSource would do the same, but it sends no headers, and does not report why it was refused.
 * @module client/event_parser
 */

/** Longest event: beyond it, the stream is broken. */
const MAX_EVENT_CHARACTERS = 4 * 1024 * 1024;

/** A name, and its value after a colon and a space. */
const FIELD = /^([^:]*):? ?(.*)/s;

export class EventParser {
  /** Milliseconds that a client waits before it reconnects; null until the server sends them. @type {number | null} */
  retryMs = null;
  #id = "";
  #type = "";
  /** @type {string[]} */
  #data = [];
  #size = 0;
  #rest = "";
  #dispatch;

  /** @param {(data: string, type: string, id: string) => void} dispatch gets each event, with the last event id */
  constructor(dispatch) {
    this.#dispatch = dispatch;
  }

  /**
   * Parse the next characters, split anywhere. Throws if an event is too long.
   * @param {string} text decoded, without a byte order mark
   */
  feed(text) {
    // A carriage return at the end may be the first half of a line's end.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length + this.#size > MAX_EVENT_CHARACTERS) throw new Error("An event has over 4 MiB.");
    for (const line of lines) this.#line(line);
  }

  /** @param {string} line */
  #line(line) {
    if (line === "") return this.#end();
    const [, name, value] = FIELD.exec(line) ?? [];
    if (value === undefined) return;
    if (name === "data") {
      this.#data.push(value);
      this.#size += value.length;
    } else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "event") this.#type = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }

  #end() {
    const [data, type] = [this.#data, this.#type];
    this.#data = [];
    this.#type = "";
    this.#size = 0;
    if (data.length > 0) this.#dispatch(data.join("\n"), type || "message", this.#id);
  }
}
