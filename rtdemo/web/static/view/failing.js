// @ts-check
/**
 * Which producers fail, always or now and then, by comparing the answers of /api/producers.
 * @module view/failing
 */
import { clip, count, oneLine } from "../format.js";

/** For so long after a failure, a producer that works again is named: over one look of 30 s that finds no new one. */
const NAMED_MS = 45_000;
/** For so long after the first look, further ones follow soon: one alone does not show a failure that is over. */
const FIRST_LOOKS_MS = 10_000;
const MAX_NAMED = 3;

/** @typedef {import("../producers.js").Producer} Producer */

/**
 * @typedef {object} Look at one producer; times as performance.now()
 * @property {Producer} producer
 * @property {number} failedAt when a new failure was last seen
 * @property {number} workedAt when it was last seen to work soon after a failure
 * @property {string} words what it does; empty if it works
 */

/** What successive looks at the producers have shown. */
export class Failing {
  /** @type {Look[]} */
  #looks = [];
  #firstAt = Infinity;
  #isNew = false;

  /**
   * Compare the list with the one before.
   * @param {Producer[]} producers
   * @param {number} now performance.now()
   */
  look(producers, now) {
    const before = new Map(this.#looks.map((look) => [look.producer.name, look]));
    this.#looks = producers.map((producer) => compare(producer, before.get(producer.name), now));
    this.#firstAt = Math.min(this.#firstAt, now);
    this.#isNew = now - this.#firstAt < FIRST_LOOKS_MS;
  }

  /**
   * Name the producers that fail.
   * @param {(name: string) => boolean} shows whether the page shows a producer
   * @returns {{ text: string, isUrgent: boolean }} empty if none fails; whether the next look should follow soon
   */
  report(shows) {
    const failing = this.#looks.filter(({ producer, words }) => words !== "" && shows(producer.name));
    const sentences = failing.slice(0, MAX_NAMED).map(sentence);
    if (failing.length > MAX_NAMED) sentences.push(`${failing.length - MAX_NAMED} more fail.`);
    return { text: sentences.join(" "), isUrgent: this.#isNew || failing.some(({ words }) => words === "fails") };
  }
}

/** @param {Look} look */
function sentence({ producer: { name, error }, words }) {
  return `${oneLine(clip(name, 40))} ${words}: ${error === "" ? "see the server's log" : error}.`;
}

/**
 * @param {Producer} producer
 * @param {Look | undefined} last
 * @param {number} now
 * @returns {Look}
 */
function compare(producer, last, now) {
  // Counts fall when the server or the plugin has been replaced.
  const before = last !== undefined && last.producer.failures <= producer.failures ? last : undefined;
  const isUp = producer.state === "running" || producer.state === "published";
  const known = before?.producer.failures ?? (isUp ? producer.failures : 0);
  const failedAt = producer.failures > known ? now : (before?.failedAt ?? -Infinity);
  const isAfterFailure = before !== undefined && now - before.failedAt < NAMED_MS;
  const works = isUp || (before !== undefined && goodRuns(producer) > goodRuns(before.producer));
  const workedAt = isAfterFailure && works ? now : (before?.workedAt ?? -Infinity);
  const isShaky = now - (isUp ? failedAt : workedAt) < NAMED_MS;
  return { producer, failedAt, workedAt, words: isShaky ? numbers(producer) : isUp ? "" : "fails" };
}

/** @param {Producer} producer */
function goodRuns({ runs, failures, on }) {
  return isStream(on) ? runs : runs - failures;
}

/** @param {Producer} producer */
function numbers({ runs, failures, on }) {
  if (!isStream(on)) return `failed ${count(failures)} of ${count(runs)} runs`;
  return failures === 1 ? "failed once" : `failed ${count(failures)} times`;
}

/**
 * Return whether it is an async generator, which counts its values as runs.
 * @param {Producer["on"]} on
 */
function isStream({ websocket, sse }) {
  return (websocket ?? sse)?.stream === true;
}
