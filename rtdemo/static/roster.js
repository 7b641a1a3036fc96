// @ts-check
/**
 * The server's list of producers, and what its plugins' last reload said: asked for every 2 s while somebody looks.
 * @module roster
 */
import { clip, oneLine } from "./format.js";
import { gather } from "./producers.js";

/** @typedef {import("./producers.js").Producer} Producer */

const REFRESH_MS = 2_000;
const TIMEOUT_MS = 5_000;

/** Producers shown; a server that has more is asked for the rest by its API. */
export const SHOWN = 200;

export class Roster {
  /** @type {Producer[] | null} null before the first answer */
  producers = null;
  /** @type {string[]} a sentence on each plugin whose reload failed */
  errors = [];
  /** Why the list is not of now; empty while it is. */
  fault = "";
  /** How many producers are not shown. */
  hidden = 0;
  #changed;
  #crowd;
  #asking = false;

  /**
   * @param {() => void} changed called after each answer, and each missing one
   * @param {() => Promise<string | null>} crowd says where other tabs are why nothing is answered
   */
  constructor(changed, crowd) {
    this.#changed = changed;
    this.#crowd = crowd;
  }

  /** Ask now, unless an answer is on its way. What does not come leaves what was known. */
  async refresh() {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const [accounts, plugins] = await Promise.all([ask("/api/producers"), ask("/api/plugins")]);
      const producers = gather(accounts);
      this.producers = producers.slice(0, SHOWN);
      this.hidden = producers.length - this.producers.length;
      this.errors = plugins.filter(({ error }) => error).map(reloadError);
      this.fault = "";
    } catch {
      this.fault = `${await this.#silence()} This list may be old; it is asked for every 2 s.`;
    } finally {
      this.#asking = false;
      this.#changed();
    }
  }

  /**
   * Let a disabled producer run again.
   * @param {string} name
   * @returns {Promise<string>} why it does not; empty where it does
   */
  async enable(name) {
    const failed = `${oneLine(clip(name, 40))} was not enabled:`;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(`/api/producers/${encodeURIComponent(name)}/enable`, { method: "POST", signal });
      const line = response.ok ? "" : clip(oneLine((await response.text()).trim()), 200);
      await this.refresh();
      return response.ok ? "" : `${failed} the server answered ${response.status}. ${line}`;
    } catch {
      return `${failed} no answer. ${await this.#silence()}`;
    }
  }

  async #silence() {
    return (await this.#crowd()) ?? "The server does not answer.";
  }

  /** Ask now, and every 2 s while somebody looks. */
  start() {
    const due = () => {
      if (!document.hidden) void this.refresh();
    };
    setInterval(due, REFRESH_MS);
    document.addEventListener("visibilitychange", due);
    due();
  }
}

/**
 * @param {string} path
 * @returns {Promise<any[]>}
 */
async function ask(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  const list = await response.json();
  if (!response.ok || !Array.isArray(list)) throw new TypeError(`${path} told no list`);
  return list;
}

/** @param {{ name: string, error: string }} plugin */
function reloadError({ name, error }) {
  return `Plugin ${oneLine(clip(name, 40))}: ${oneLine(clip(error, 300))}; what was loaded before runs on.`;
}
