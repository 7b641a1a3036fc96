// @ts-check
/**
 * Describes what is wrong with the connections, in one sentence that the top of the page shows. Pure.
 * @module views/outage
 */

/** @typedef {import("../connection/side.js").Side} Side */

/**
 * @typedef {object} Outage
 * @property {string} sentence what is wrong, since when, and what happens next
 * @property {string} title for the browser's tab
 * @property {"waiting" | "alert"} level alert if only the reader can mend it
 */

/** Interruptions up to this time need no reader. */
const SHORT_MS = 1_000;

/**
 * Return what is wrong.
 * @param {{ name: string, side: Side }[]} sides
 * @param {number} now performance.now()
 * @returns {Outage | null} null while every connection that is wanted works
 */
export function outage(sides, now) {
  const ended = sides.filter(({ side }) => side.state === "refused" || side.state === "lost");
  const broken = sides.filter(({ side }) => isBroken(side, now));
  if (ended.length > 0) return final(ended);
  if (broken.length === 0) return null;
  const injected = broken.every(({ side }) => side.measurement.faults.kind !== null);
  const since = Math.min(...broken.map(({ side }) => side.downSince ?? now));
  const who = injected ? "Your fault" : broken.length > 1 ? "Server unreachable" : `${broken[0].name} interrupted`;
  const retrying = broken.filter(({ side }) => side.state === "reconnecting");
  const next = nextTry(retrying.map(({ side }) => side), now);
  const sentence = `${who} since ${Math.floor((now - since) / 1000)} s${next}${others(sides, broken)}.`;
  return { sentence, title: broken.length > 1 ? "Server unreachable" : `${broken[0].name} interrupted`, level: "waiting" };
}

/**
 * @param {Side} side
 * @param {number} now
 */
function isBroken({ state, downSince }, now) {
  return (state === "reconnecting" || state === "stalled") && downSince !== null && now - downSince > SHORT_MS;
}

/**
 * @param {{ name: string, side: Side }[]} ended
 * @returns {Outage}
 */
function final(ended) {
  const [{ name, side }] = ended;
  const both = ended.length > 1 && ended[1].side.sentence === side.sentence;
  const who = both ? "Neither connected" : `${name} ${side.state === "refused" ? "did not connect" : "ended"}`;
  return { sentence: `${who}: ${side.sentence}`, title: who, level: "alert" };
}

/**
 * @param {Side[]} sides that reconnect; a stalled one is still open
 * @param {number} now
 */
function nextTry(sides, now) {
  if (sides.length === 0) return "";
  const times = sides.map(({ retryAt }) => retryAt).filter((at) => at !== null);
  if (times.length === 0) return ", trying now";
  return `, next try in ${Math.max(0, Math.ceil((Math.min(...times) - now) / 1000))} s`;
}

/**
 * @param {{ name: string, side: Side }[]} sides
 * @param {{ name: string, side: Side }[]} broken
 */
function others(sides, broken) {
  const works = sides.find((each) => !broken.includes(each) && each.side.open);
  return works === undefined ? "" : `; ${works.name} works`;
}
