// @ts-check
/**
 * Counts the event streams that other tabs of this origin hold.
 *
 * Over HTTP/1.1 Chromium and Firefox open six connections to one origin, and each stream occupies one. A tab that waits
 * for its stream asks the others every second and counts recent answers: a closed or crashed tab no longer answers.
 * @module connection/tabs
 */

/** Connections that a browser opens to one origin over HTTP/1.1. */
const MAX_CONNECTIONS = 6;

/** An answer counts for three questions, since a busy tab may miss one. */
const ANSWER_VALID_MS = 3_000;

const ANSWER_WAIT_MS = 300;

/** Bound on the tabs that are remembered. */
const MAX_TABS = 50;

/**
 * @typedef {object} Channel the part of BroadcastChannel that is used
 * @property {(message: unknown) => void} postMessage
 * @property {((event: MessageEvent) => void) | null} onmessage
 */

/**
 * Open the channel to the other tabs. Where the browser forbids storage, it forbids the channel too (Firefox); then no tab
 * answers.
 * @param {string} name
 * @returns {Channel}
 */
export function openChannel(name) {
  try {
    return new BroadcastChannel(name);
  } catch {
    return { postMessage: () => {}, onmessage: null };
  }
}

export class Tabs {
  /** Whether this tab holds a stream. */
  holdsStream = false;
  #name = String(Math.random());
  /** @type {Map<string, number>} time of the last answer of each tab that holds a stream, milliseconds */
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
    channel.onmessage = ({ data }) => this.#receive(data);
  }

  /** Ask the other tabs whether they hold a stream. */
  ask() {
    this.#channel.postMessage({ call: true });
  }

  /** Number of other tabs that hold a stream. */
  get others() {
    const now = this.#now();
    for (const [name, at] of this.#holders) {
      if (now - at > ANSWER_VALID_MS) this.#holders.delete(name);
    }
    return this.#holders.size;
  }

  /**
   * Ask the other tabs, and explain an unanswered request if their streams are the cause.
   * @param {string} protocol as Resource Timing names it
   * @returns {Promise<string | null>} a sentence, or null
   */
  async explainNoAnswer(protocol) {
    this.ask();
    await new Promise((resolve) => setTimeout(resolve, ANSWER_WAIT_MS));
    return streamsExhausted(this, protocol);
  }

  /** @param {unknown} data anything: another tab may run another version of this page */
  #receive(data) {
    if (typeof data !== "object" || data === null) return;
    if ("call" in data && data.call === true && this.holdsStream) this.#channel.postMessage({ holder: this.#name });
    if (!("holder" in data) || typeof data.holder !== "string") return;
    if (this.#holders.size < MAX_TABS) this.#holders.set(data.holder, this.#now());
  }
}

/**
 * Explain why a request gets no answer if streams occupy every connection to this origin.
 * @param {{ others: number, holdsStream: boolean }} tabs
 * @param {string} protocol as Resource Timing names it
 * @returns {string | null} a sentence, or null if connections are free
 */
export function streamsExhausted({ others, holdsStream }, protocol) {
  if (others + Number(holdsStream) < MAX_CONNECTIONS || !protocol.startsWith("http/1")) return null;
  const holders = holdsStream ? `This tab and ${others} others` : `${others} other tabs`;
  return (
    `${holders} hold an event stream of this origin, as many as a browser opens over HTTP/1.1.` +
    " Close one of them or press Disconnect there."
  );
}
