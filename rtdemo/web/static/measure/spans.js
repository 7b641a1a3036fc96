// @ts-check
/**
 * Stretches of time in which something was not as usual: away, hidden, broken on purpose. The charts mark them. Pure.
 * @module measure/spans
 */

/** @typedef {"cut" | "stop" | "delay" | "away" | "closed" | "hidden"} Kind */

/**
 * @typedef {object} Span
 * @property {Kind} kind
 * @property {number} from performance.now()
 * @property {number | null} to null while it lasts
 */

/** Spans that are kept; the oldest go first. */
export const KEPT = 200;

/** @type {Record<Kind, string>} */
const WORDS = {
  cut: "you cut it:",
  stop: "you stopped it:",
  delay: "you delayed it:",
  away: "reconnecting:",
  closed: "closed:",
  hidden: "tab hidden:",
};

export class Spans {
  /** @type {Span[]} by their beginnings */
  list = [];

  /**
   * Begin a span, unless one of its kind lasts.
   * @param {Kind} kind
   * @param {number} at performance.now()
   */
  open(kind, at) {
    if (this.isOpen(kind)) return;
    this.list.push({ kind, from: at, to: null });
    if (this.list.length > KEPT) this.list.shift();
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
   * Tell what was known at a moment: what ended later still lasted.
   * @param {number} moment performance.now()
   * @returns {Span[]}
   */
  until(moment) {
    const begun = this.list.filter(({ from }) => from < moment);
    return begun.map((span) => ({ ...span, to: span.to !== null && span.to > moment ? null : span.to }));
  }

  /** What there is, in so few characters that it can be compared often. */
  get state() {
    return `${this.list.length} ${this.list.at(-1)?.from} ${this.list.filter(({ to }) => to === null).length}`;
  }

  /** Forget what is over. */
  clear() {
    this.list = this.list.filter(({ to }) => to === null);
  }
}

/**
 * Say what happened and how long it took.
 * @param {Span} span
 * @param {number} now performance.now()
 */
export function words({ kind, from, to }, now) {
  if (kind === "closed" && to === null) return "closed";
  return `${WORDS[kind]} ${(((to ?? now) - from) / 1000).toFixed(1)} s`;
}
