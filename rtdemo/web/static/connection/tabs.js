// @ts-check
/**
 * Who else holds an event stream: a roll call among the tabs of this origin.
 *
 * Over HTTP/1.1 Chromium and Firefox open six connections to one origin, and each stream keeps one. A tab that waits for
 * its stream asks every second, and counts who answered lately: a tab that closed or crashed answers no more.
 * @module connection/tabs
 */

/** Connections to one origin over HTTP/1.1. */
export const MOST = 6;

/** An answer counts for so long: three calls, since a busy tab may miss one. */
const FRESH_MS = 3_000;

/** How long answers to a call are waited for. */
const ANSWER_MS = 300;

/** Tabs that are remembered. */
const KNOWN = 50;

/**
 * @typedef {object} Channel what BroadcastChannel has of use here
 * @property {(message: unknown) => void} postMessage
 * @property {((event: MessageEvent) => void) | null} onmessage
 */

export class Tabs {
  /** Whether this tab holds a stream. */
  holds = false;
  #name = String(Math.random());
  /** @type {Map<string, number>} when each holder answered last */
  #holders = new Map();
  #channel;
  #now;

  /**
   * @param {Channel} channel
   * @param {() => number} [now] milliseconds
   */
  constructor(channel, now = () => performance.now()) {
    this.#channel = channel;
    this.#now = now;
    channel.onmessage = ({ data }) => this.#heard(data);
  }

  /** Ask who holds a stream. */
  call() {
    this.#channel.postMessage({ call: true });
  }

  /** How many other tabs hold a stream. */
  get others() {
    const now = this.#now();
    for (const [name, at] of this.#holders) {
      if (now - at > FRESH_MS) this.#holders.delete(name);
    }
    return this.#holders.size;
  }

  /**
   * Ask whether the other tabs are why a request got no answer.
   * @param {string} protocol as Resource Timing names it
   */
  async reason(protocol) {
    this.call();
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
    return crowded(this, protocol);
  }

  /** @param {unknown} data another version of this page may send anything */
  #heard(data) {
    if (typeof data !== "object" || data === null) return;
    if ("call" in data && data.call === true && this.holds) this.#channel.postMessage({ holder: this.#name });
    if (!("holder" in data) || typeof data.holder !== "string") return;
    if (this.#holders.size < KNOWN) this.#holders.set(data.holder, this.#now());
  }
}

/**
 * Say why a request gets no answer, where streams hold every connection to this origin.
 * @param {{ others: number, holds: boolean }} tabs
 * @param {string} protocol as Resource Timing names it
 * @returns {string | null} null where they do not
 */
export function crowded({ others, holds }, protocol) {
  if (others + Number(holds) < MOST || !protocol.startsWith("http/1")) return null;
  const who = holds ? `This tab and ${others} others` : `${others} other tabs`;
  return (
    `${who} hold an event stream of this origin, as many as a browser opens over HTTP/1.1.` +
    " Close one of them or press Disconnect there."
  );
}
