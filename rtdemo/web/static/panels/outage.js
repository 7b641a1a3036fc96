// @ts-check
/**
 * Describes what is wrong with the connections, or which fault the reader injected, in one sentence that the top of the
 * page shows. Pure.
 * @module panels/outage
 */
import { CUT, OFFLINE } from "../connection/sentences.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {{ name: string, side: Side }} Named */

/**
 * @typedef {object} Outage
 * @property {string} sentence what is wrong, for how long, and what happens next
 * @property {string} title for the browser's tab
 * @property {"waiting" | "alert"} level alert if only the reader can mend it
 */

/** An interruption up to this time is not worth a sentence. */
const SHORT_MS = 1_000;

/**
 * Return what is wrong.
 * @param {Named[]} sides
 * @param {number} now performance.now()
 * @returns {Outage | null} null while every connection that is wanted works
 */
export function outage(sides, now) {
  const ended = sides.filter(({ side }) => side.state === "refused" || side.state === "lost");
  if (ended.length > 0) return describeEnd(ended);
  const injected = sides.filter(({ side }) => isOfFault(side));
  if (injected.length > 0) return describeFault(injected, now);
  const broken = sides.filter(({ side }) => side.state === "reconnecting" && isLong(side, now));
  if (broken.length > 0) return describeBreak(broken, sides, now);
  const silent = sides.filter(({ side }) => side.state === "stalled" && isLong(side, now));
  return silent.length > 0 ? describeSilence(silent, now) : null;
}

/**
 * Return whether an injected fault is what happens now. Its record stays until the connection opens again, also if the
 * server dies meanwhile.
 * @param {Side} side
 */
function isOfFault({ open, cause, measurement: { faults } }) {
  return faults.kind !== null && (open || (faults.kind === "cut" && cause === CUT));
}

/**
 * @param {Side} side
 * @param {number} now
 */
function isLong({ downSince }, now) {
  return downSince !== null && now - downSince > SHORT_MS;
}

/**
 * @param {Named[]} ended
 * @returns {Outage}
 */
function describeEnd(ended) {
  const [{ name, side }, other] = ended;
  const word = side.state === "refused" ? "did not connect" : "ended";
  const title = other === undefined ? `${name} ${word}` : `${name} and ${other.name} ${word}`;
  return { sentence: `${title}: ${side.sentence}`, title, level: "alert" };
}

/**
 * @param {Named[]} injected
 * @param {number} now
 * @returns {Outage}
 */
function describeFault(injected, now) {
  const parts = injected.map(({ name, side }) => {
    const { kind, endsAt } = side.measurement.faults;
    if (kind === "cut") return `you cut ${name}${nextTry([side], now)}`;
    if (kind === "delay") return `you delay ${name} by 250 ms`;
    return `you stopped ${name}${endsAt === null ? "" : `, ${secondsUntil(endsAt, now)} s left`}`;
  });
  const sentence = `${parts.join("; ")}.`;
  return { sentence: sentence[0].toUpperCase() + sentence.slice(1), title: "Fault injected", level: "waiting" };
}

/**
 * @param {Named[]} broken
 * @param {Named[]} sides
 * @param {number} now
 * @returns {Outage}
 */
function describeBreak(broken, sides, now) {
  const isOffline = broken.some(({ side }) => side.cause === OFFLINE);
  const alone = broken.length === 1 ? `${broken[0].name} interrupted` : "Server unreachable";
  const title = isOffline ? "Browser offline" : alone;
  const works = sides.find((each) => !broken.includes(each) && each.side.state === "connected");
  const rest = works === undefined ? "" : `; ${works.name} works`;
  const next = nextTry(broken.map(({ side }) => side), now);
  return { sentence: `${title} for ${secondsDown(broken, now)} s${next}${rest}.`, title, level: "waiting" };
}

/**
 * @param {Named[]} silent
 * @param {number} now
 * @returns {Outage}
 */
function describeSilence(silent, now) {
  const title = silent.length > 1 ? "Nothing has arrived" : `Nothing has arrived over ${silent[0].name}`;
  return { sentence: `${title} for ${secondsDown(silent, now)} s: checking the connection.`, title, level: "waiting" };
}

/**
 * @param {Named[]} sides
 * @param {number} now
 */
function secondsDown(sides, now) {
  return Math.round((now - Math.min(...sides.map(({ side }) => side.downSince ?? now))) / 1000);
}

/**
 * @param {Side[]} sides
 * @param {number} now
 */
function nextTry(sides, now) {
  const times = sides.map(({ retryAt }) => retryAt).filter((at) => at !== null);
  return times.length === 0 ? ", trying now" : `, next try in ${secondsUntil(Math.min(...times), now)} s`;
}

/**
 * @param {number} at
 * @param {number} now
 */
function secondsUntil(at, now) {
  return Math.max(0, Math.ceil((at - now) / 1000));
}
