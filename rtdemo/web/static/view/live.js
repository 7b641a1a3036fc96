// @ts-check
/**
 * The connection of a page about data: a stream of the client that is opened again for as long as the page is there, also
 * after a refusal.
 * @module view/live
 */
import { connect } from "../client.js";

/** @typedef {import("../message.js").Message} Message */
/** @typedef {ReturnType<typeof connect>} Stream */

/**
 * @typedef {object} Receiver
 * @property {(message: Message, at: number) => void} received performance.now() at which it arrived
 * @property {(sentAt: number, at: number) => void} welcomed a connection is open: the server's time, and performance.now()
 * @property {() => void} interrupted the connection broke, or picks other producers
 * @property {() => void} rewinding the past comes again
 * @property {() => void} changed the state or its sentence changed
 */

/**
 * @typedef {object} Wanted
 * @property {string} [url] of the server; by default that of the page
 * @property {string[]} [producers] names; all by default
 * @property {string} [rewind] the past, such as "600s"
 * @property {() => Promise<string>} [ticket] returns a new login ticket
 */

const CONNECTING = "Connecting…";
const OFFLINE = "The browser is offline.";
/** When the next try is. A screen reader would read each wait aloud. */
const AGAIN = / Trying .*$/;

/** The sentence of the client after a loss, and those of the page in its place. */
const LOST = / Some messages were lost\./;
const LOSS = "Some messages were lost. What the server still has is shown.";
const NEW_LOG = "The server has forgotten its values, as after a restart. Some messages may be lost.";
/** Time for which a loss is reported. */
const LOSS_SHOWN_MS = 60_000;

/** Wait after a refusal; a part of it is random. */
const REFUSED_RETRY_MS = 5_000;

export class Live {
  /** @type {"connecting" | "live" | "away" | "refused"} */
  state = "connecting";
  /** What happens, and why. */
  sentence = CONNECTING;
  #wanted;
  /** The past that the stream asks for, which may be less than is wanted. @type {string | undefined} */
  #asked;
  #receiver;
  #mayRetry;
  /** @type {Stream | null} null before the first connection */
  #stream = null;
  /** The welcome of this connection. @type {Message | null} */
  #welcome = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** Losses of this stream, and those that are no longer reported; the sentence about the newest. */
  #losses = { all: 0, old: 0, sentence: "" };
  /** Position of the newest message, or of the first welcome. @type {string | null} */
  #newest = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #aging;

  /**
   * @param {Wanted} wanted
   * @param {Receiver} receiver
   * @param {() => boolean} mayRetry whether another try may succeed: not while a login token is missing
   */
  constructor(wanted, receiver, mayRetry) {
    this.#wanted = wanted;
    this.#receiver = receiver;
    this.#mayRetry = mayRetry;
  }

  /** Whether an event stream is open. */
  get holdsStream() {
    return this.#stream?.state === "open" && this.#stream.transport === "sse";
  }

  /** Connect anew, and continue after the last message. */
  connect() {
    const after = this.#stream?.position;
    this.close();
    if (this.state === "live") {
      this.#receiver.interrupted();
      this.#set("connecting", CONNECTING);
    }
    // A sentence that explains a failure stays until there is news.
    this.state = "connecting";
    this.#losses = { all: 0, old: 0, sentence: "" };
    this.#asked = this.#wanted.rewind;
    this.#stream = connect({
      ...this.#wanted,
      latest: true,
      after,
      waitForServer: true,
      onMessage: (message, stream) => {
        if (this.state !== "live") this.#setLive(stream);
        this.#newest = message.id ?? this.#newest;
        this.#receiver.received(message, performance.now());
      },
      onRewind: () => this.#rewinding(),
      onState: (stream) => this.#changed(stream),
    });
  }

  /** End, and forget the position: the next connection gets the past again. */
  forget() {
    this.close();
    this.#stream = null;
    this.#newest = null;
  }

  /** End for good: nothing is received any more, and nothing refers to it. */
  close() {
    clearTimeout(this.#retry);
    clearTimeout(this.#aging);
    this.#stream?.close();
  }

  /**
   * Receive other producers, after the last message.
   * @param {string[]} producers names
   */
  select(producers) {
    this.#wanted = { ...this.#wanted, producers };
    this.#receiver.interrupted();
    this.#stream?.select(producers);
    if (this.state === "refused") this.connect();
  }

  /**
   * Ask for another past from the next connection on.
   * @param {string | undefined} rewind
   */
  want(rewind) {
    this.#wanted = { ...this.#wanted, rewind };
  }

  /**
   * Ask for the past again: more of it is to be shown.
   * @param {string} [rewind] another past than before
   */
  rewind(rewind = this.#wanted.rewind) {
    this.want(rewind);
    this.#asked = rewind;
    this.#stream?.rewind(rewind);
    if (this.state === "refused") this.connect();
  }

  /** The past comes again, also after a loss: then the stream asks for what it was opened with. */
  #rewinding() {
    const { rewind } = this.#wanted;
    if (rewind !== this.#asked) this.rewind(rewind);
    else this.#receiver.rewinding();
  }

  /** @param {Stream} stream */
  #changed(stream) {
    const { state, sentence, welcome } = stream;
    if (welcome !== null && welcome !== this.#welcome) this.#receiver.welcomed(welcome.sentAt, performance.now());
    this.#welcome = welcome;
    // A page that has no value yet knows the log all the same.
    this.#newest ??= stream.position;
    if (state === "open" && (welcome !== null || this.state === "live")) this.#setLive(stream);
    if (state === "reconnecting") this.#setAway("away", navigator.onLine ? sentence.replace(AGAIN, "") : OFFLINE);
    if (state === "failed") this.#refused(sentence);
  }

  /** @param {string} sentence */
  #refused(sentence) {
    if (!this.#mayRetry()) return this.#setAway("refused", sentence);
    this.#setAway("refused", `${sentence} Trying again every ${REFUSED_RETRY_MS / 1000} s.`);
    this.#retry = setTimeout(() => this.connect(), REFUSED_RETRY_MS * (0.75 + Math.random() / 2));
  }

  /** @param {Stream} stream */
  #setLive(stream) {
    const { lost } = stream.ledger;
    if (lost > this.#losses.all) {
      this.#losses.all = lost;
      const [before, now] = [this.#newest, stream.position].map((position) => position?.split("-")[0]);
      this.#losses.sentence = before && now && before !== now ? NEW_LOG : LOSS;
      clearTimeout(this.#aging);
      this.#aging = setTimeout(() => {
        this.#losses.old = lost;
        if (this.state === "live") this.#setLive(stream);
      }, LOSS_SHOWN_MS);
    }
    const sentence = stream.sentence.replace(/^Open/, "Live").replace(LOST, "");
    const isRecent = lost > this.#losses.old;
    this.#set("live", isRecent ? `${sentence} ${this.#losses.sentence}` : sentence);
  }

  /**
   * @param {"away" | "refused"} state
   * @param {string} sentence
   */
  #setAway(state, sentence) {
    if (this.state === "live") this.#receiver.interrupted();
    this.#set(state, `Not live: ${sentence}${state === "away" ? " It reconnects by itself." : ""}`);
  }

  /**
   * @param {Live["state"]} state
   * @param {string} sentence
   */
  #set(state, sentence) {
    this.state = state;
    this.sentence = sentence;
    this.#receiver.changed();
  }
}
