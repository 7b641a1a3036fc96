// @ts-check
/**
 * Keeps a run over a reload and over Back: writes it into the tab's session storage when the page goes, and takes it out
 * when the page comes back. Figures are kept exactly, samples up to a bound. Messages' texts are not kept.
 * @module measure/saved_run
 */
import { decodeArrays, encodeArrays } from "./typed_text.js";

/** @typedef {import("../connection/side.js").Side} Side */
/** @typedef {import("./ring.js").Ring} Ring */

const KEY = "rtdemo-run";
/** Version of the value; another one is ignored. */
const VERSION = 3;

/** Samples kept of each side: browsers store about 5 million characters, and a sample takes 30. */
const MAX_SAMPLES = 20_000;

/** Ways to open a page that continue its run. Another one, such as a link, begins a new run. */
const CONTINUES = new Set(["reload", "back_forward"]);

export class SavedRun {
  #storage;
  #sides;

  /**
   * @param {() => Storage} storage throws where the browser forbids it
   * @param {Record<string, Side>} sides
   */
  constructor(storage, sides) {
    this.#storage = storage;
    this.#sides = sides;
  }

  /** Restore the last run if this page continues it, and keep this one when the page goes. */
  start() {
    const [navigation] = performance.getEntriesByType("navigation");
    if (CONTINUES.has(/** @type {PerformanceNavigationTiming} */ (navigation)?.type)) this.restore();
    this.forget();
    addEventListener("pagehide", () => this.save());
    // A page from the browser's cache still has its run.
    addEventListener("pageshow", ({ persisted }) => persisted && this.forget());
  }

  /** Write the run. Without room or permission it is not kept. */
  save() {
    const sides = Object.entries(this.#sides).map(([name, side]) => [name, stateOf(side)]);
    const page = { address: address(), origin: performance.timeOrigin, at: performance.now() };
    const run = { version: VERSION, ...page, ...Object.fromEntries(sides) };
    try {
      this.#storage().setItem(KEY, JSON.stringify(run));
    } catch {
      this.forget();
    }
  }

  /** Continue the run in the storage. One of another address or version, or a value that is no run, changes nothing. */
  restore() {
    try {
      const run = JSON.parse(this.#storage().getItem(KEY) ?? "null");
      if (run?.version !== VERSION || run.address !== address()) return;
      // By the wall clock, which may have been set back meanwhile.
      const shift = Math.min(run.origin - performance.timeOrigin, performance.now() - run.at);
      for (const [name, side] of Object.entries(this.#sides)) restoreSide(side, run[name], shift, run.at + shift);
    } catch {
      for (const side of Object.values(this.#sides)) side.reset();
    }
  }

  /** Remove the run from the storage. */
  forget() {
    try {
      this.#storage().removeItem(KEY);
    } catch {
      // A browser that forbids storage has nothing to remove.
    }
  }
}

/** Address of this page, with the settings that it began with. */
function address() {
  return location.pathname + location.search;
}

/** @param {Side} side */
function stateOf({ measurement, selection, active, position }) {
  const { stats, recording, spans } = measurement;
  return {
    active,
    position,
    chosen: selection.chosen,
    stats: stats.state,
    recording: recording.state,
    samples: encodeArrays(newest(recording.ring, MAX_SAMPLES)),
    spans: spans.list,
  };
}

/**
 * Continue a side's run, and connect it again after its last position if it was connected.
 * @param {Side} side
 * @param {any} state as `stateOf` returned it
 * @param {number} shift from the old page's performance.now() to this page's
 * @param {number} endedAt performance.now() when the old page went
 */
function restoreSide(side, state, shift, endedAt) {
  const { stats, recording, spans } = side.measurement;
  const { at, latency, error, bytes, producer, flags } = decodeArrays(state.samples);
  side.choose(state.chosen);
  stats.state = state.stats;
  recording.state = state.recording;
  const { ring } = recording;
  ring.restart(state.recording.wire.messages > at.length);
  for (let index = 0; index < at.length; index += 1) {
    ring.push(at[index] + shift, latency[index], error[index], bytes[index], producer[index], flags[index]);
  }
  for (const span of state.spans) {
    spans.add({ ...span, from: span.from + shift, to: (span.to ?? endedAt - shift) + shift });
  }
  if (state.recording.wire.messages > 0) spans.open(state.active ? "away" : "closed", endedAt);
  if (state.active) side.connect(state.position);
}

/**
 * Return the newest samples, oldest first.
 * @param {Ring} ring
 * @param {number} most
 */
function newest(ring, most) {
  const first = Math.max(0, ring.length - most);
  const slots = Array.from({ length: ring.length - first }, (_, index) => ring.slot(first + index));
  return {
    at: Float64Array.from(slots, (slot) => ring.at[slot]),
    latency: Float32Array.from(slots, (slot) => ring.latency[slot]),
    error: Float32Array.from(slots, (slot) => ring.error[slot]),
    bytes: Uint32Array.from(slots, (slot) => ring.bytes[slot]),
    producer: Uint8Array.from(slots, (slot) => ring.producer[slot]),
    flags: Uint8Array.from(slots, (slot) => ring.flags[slot]),
  };
}
