// @ts-check
/**
 * Spans of time in which latency is not that of the transport: silent, reconnecting, closed, hidden, asleep, injected faults.
 * The charts mark them. Pure.
 * @module measure/spans
 */
import { duration } from "../format.js";

/** @typedef {"cut" | "stop" | "delay" | "silent" | "away" | "closed" | "hidden" | "asleep"} Kind */

/**
 * @typedef {object} Span
 * @property {Kind} kind
 * @property {number} from performance.now()
 * @property {number | null} to performance.now(); null while it lasts
 * @property {number} [lasted] milliseconds, if performance.now() may have stopped meanwhile
 */

/** Bound on spans that are kept; the oldest is dropped. */
export const MAX_SPANS = 200;

/** @type {Record<Kind, string>} */
const LABELS = {
  cut: "you cut it:",
  stop: "you stopped it:",
  delay: "you delayed it:",
  silent: "nothing arrived:",
  away: "reconnecting:",
  closed: "closed:",
  hidden: "tab hidden:",
  asleep: "page asleep:",
};

export class Spans {
  /** @type {Span[]} ordered by start */
  list = [];

  /**
   * Begin a span, unless one of its kind is open.
   * @param {Kind} kind
   * @param {number} at performance.now()
   */
  open(kind, at) {
    if (!this.isOpen(kind)) this.add({ kind, from: at, to: null });
  }

  /** @param {Span} span */
  add(span) {
    this.list.push(span);
    if (this.list.length > MAX_SPANS) this.list.shift();
  }

  /**
   * @param {Kind} kind
   * @param {number} at performance.now()
   */
  close(kind, at) {
    for (const span of this.list) {
      if (span.kind === kind && span.to === null) span.to = at;
    }
  }

  /** @param {Kind} kind */
  isOpen(kind) {
    return this.list.some((span) => span.kind === kind && span.to === null);
  }

  /**
   * Return the spans as they were at a moment: a span that ended later is still open.
   * @param {number} moment performance.now()
   * @returns {Span[]}
   */
  until(moment) {
    const begun = this.list.filter(({ from }) => from < moment);
    return begun.map((span) => ({ ...span, to: span.to !== null && span.to > moment ? null : span.to }));
  }

  /** A short key that differs after each change. */
  get state() {
    return `${this.list.length} ${this.list.at(-1)?.from} ${this.list.filter(({ to }) => to === null).length}`;
  }

  /** Remove the spans that ended. */
  clear() {
    this.list = this.list.filter(({ to }) => to === null);
  }
}

/**
 * Describe a span and its length.
 * @param {Span} span
 * @param {number} now performance.now()
 */
export function spanText({ kind, from, to, lasted }, now) {
  if (kind === "closed" && to === null) return "closed";
  return `${LABELS[kind]} ${duration(lasted ?? (to ?? now) - from)}`;
}
