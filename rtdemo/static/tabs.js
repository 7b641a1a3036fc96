// @ts-check
/**
 * Who else holds an event stream: a roll call among the tabs of this origin.
 *
 * Over HTTP/1.1 Chromium and Firefox open six connections to one origin, and each stream keeps one. A tab that waits for
 * its stream asks every second, and counts who answered lately: a tab that closed or crashed answers no more.
 * @module tabs
 */

/** Connections to one origin over HTTP/1.1. */
export const MOST = 6;

/** An answer counts for so long: three calls, since a busy tab may miss one. */
const FRESH_MS = 3_000;

/** Tabs that are remembered. */
const KNOWN = 50;

/**
 * @typedef {object} Channel what BroadcastChannel has of use here
 * @property {(message: unknown) => void} postMessage
 * @property {((event: { data: any }) => void) | null} onmessage
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

  /** @param {any} data another version of this page may send anything */
  #heard(data) {
    if (data?.call === true && this.holds) this.#channel.postMessage({ holder: this.#name });
    if (typeof data?.holder === "string" && this.#holders.size < KNOWN) this.#holders.set(data.holder, this.#now());
  }
}

/**
 * Say why a stream gets no answer, where the other tabs are the reason.
 * @param {number} others tabs that hold a stream
 * @param {string} protocol as Resource Timing names it
 * @returns {string | null} null where they are not
 */
export function crowded(others, protocol) {
  if (others < MOST || !protocol.startsWith("http/1")) return null;
  return (
    `${others} other tabs hold an event stream of this origin, and over HTTP/1.1 a browser opens no more than ${MOST}` +
    " connections to one. Close one of them or press Disconnect there, and this one goes on by itself."
  );
}
