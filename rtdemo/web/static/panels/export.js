// @ts-check
/**
 * Writes a run for other programs: all kept samples and the figures; and the link to its settings. Pure.
 * @module panels/export
 */
import { addDifference, addressFor } from "../connection/selection.js";
import { BROKEN, CAUGHT_UP, HIDDEN, UNTIMED } from "../measure/ring.js";

/** @typedef {import("../connection/selection.js").Selection} Selection */
/** @typedef {import("../measure/measurement.js").Measurement} Measurement */
/** @typedef {import("../measure/recording.js").Recording} Recording */

/** Version of the JSON format; readers refuse other versions. */
export const FORMAT_VERSION = 2;

const COLUMNS = ["at", "latency", "error", "bytes", "producer", "hidden", "broken", "untimed", "caughtUp"];

/**
 * Return the figures of one side.
 * @param {Measurement} measurement
 * @param {number} now performance.now()
 */
export function figures({ stats, recording }, now) {
  const { histogram, jitter, error, left, bytesPerMessage } = recording;
  const { missing, repeated, late, reported, unchecked } = stats.ledger;
  return {
    received: stats.received,
    unreadable: stats.unreadable,
    mean: recording.latency.value,
    ...{ p50: histogram.percentile(50), p95: histogram.percentile(95), p99: histogram.percentile(99) },
    max: histogram.max,
    error,
    jitter: jitter.value,
    messagesPerSecond: recording.rate(now),
    bytesPerMessage,
    connectionTime: stats.connectionTime,
    reconnects: stats.reconnects,
    ledger: { missing, repeated, late, reported, unchecked },
    leftOut: { ...left },
  };
}

/**
 * List a recording's samples up to a moment, oldest first, each as the values of `COLUMNS`. Meanwhile samples may arrive;
 * one that is overwritten before its turn is left out.
 * @param {Recording} recording
 * @param {number} end of the ring: its `total` at that moment
 * @param {number} origin performance.timeOrigin
 */
export function* rows({ ring, names }, end, origin) {
  for (let number = ring.total - ring.length; number < Math.min(end, ring.total); number += 1) {
    const index = number - (ring.total - ring.length);
    if (index < 0) continue;
    const slot = ring.slot(index);
    yield [
      rounded(origin + ring.at[slot]),
      rounded(ring.latency[slot]),
      rounded(ring.error[slot]),
      ring.bytes[slot],
      names[ring.producer[slot]] ?? "",
      (ring.flags[slot] & HIDDEN) > 0,
      (ring.flags[slot] & BROKEN) > 0,
      (ring.flags[slot] & UNTIMED) > 0,
      (ring.flags[slot] & CAUGHT_UP) > 0,
    ];
  }
}

/**
 * Return the ends of several rings now: writing them takes a while, and all are of the same time.
 * @param {Record<string, Recording>} recordings
 */
function endsOf(recordings) {
  return Object.fromEntries(Object.entries(recordings).map(([name, { ring }]) => [name, ring.total]));
}

/** @param {number} value @returns {number | null} milliseconds to the microsecond; null if unknown */
function rounded(value) {
  return Number.isNaN(value) ? null : Math.round(value * 1000) / 1000;
}

/**
 * Write the samples of several recordings as CSV (RFC 4180).
 * @param {Record<string, Recording>} recordings
 * @param {number} origin
 * @returns {Generator<string, void>} lines
 */
export function* csv(recordings, origin) {
  const ends = endsOf(recordings);
  yield `transport,${COLUMNS.join(",")}\r\n`;
  for (const [name, recording] of Object.entries(recordings)) {
    for (const row of rows(recording, ends[name], origin)) yield `${[name, ...row].map(cell).join(",")}\r\n`;
  }
}

/**
 * Write a run as JSON: one object, and in it one for each side with its samples as a table.
 * @param {object} run without the sides
 * @param {Record<string, object>} sides without their samples
 * @param {Record<string, Recording>} recordings by the same names
 * @param {number} origin
 * @returns {Generator<string, void>} pieces
 */
export function* json(run, sides, recordings, origin) {
  const ends = endsOf(recordings);
  yield opened(run);
  for (const [name, side] of Object.entries(sides)) {
    yield `,${JSON.stringify(name)}:${opened(side)},"samples":${opened({ columns: COLUMNS })},"rows":[`;
    let separator = "";
    for (const row of rows(recordings[name], ends[name], origin)) {
      yield `${separator}${JSON.stringify(row)}`;
      separator = ",";
    }
    yield "]}}";
  }
  yield "}";
}

/** @param {object} object that more keys follow */
function opened(object) {
  return JSON.stringify(object).slice(0, -1);
}

/**
 * Quote a cell. A spreadsheet runs a text that begins like a formula, and producers' names are untrusted.
 * @param {unknown} value
 */
function cell(value) {
  if (typeof value !== "string") return value === null ? "" : String(Number(value));
  const plain = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/**
 * Write spans with the times of the samples: milliseconds since the epoch.
 * @param {import("../measure/spans.js").Span[]} list
 * @param {number} origin
 */
export function spansSinceEpoch(list, origin) {
  return list.map(({ kind, from, to }) => ({
    kind,
    from: rounded(origin + from),
    to: to === null ? null : rounded(origin + to),
  }));
}

/**
 * Write the settings into the page's address, without its other parameters. Where the sides differ, `sse.producers` and
 * `sse.speed` are those of SSE.
 * @param {URL | Location} page
 * @param {Selection} websocket
 * @param {Selection} sse
 * @param {number} window seconds that the charts show
 */
export function settingsLink(page, websocket, sse, window) {
  const url = addressFor(new URL(page.pathname, page.origin), websocket);
  addDifference(url, websocket, sse);
  if (window !== 60) url.searchParams.set("window", String(window));
  return url.href;
}
