// @ts-check
/**
 * One server as the source of a page's elements: one connection for all of them, and what has arrived.
 *
 * A browser opens six event streams to a server over HTTP/1.1, so elements share one. It picks their producers. It opens anew
 * when one is added, and asks for the past that the new one needs; it closes after the last element is gone.
 * @module embed/source
 */
import { Login } from "../connection/login.js";
import { MAX_NAMES } from "../view/address.js";
import { Live } from "../view/live.js";
import { Painter } from "../view/painter.js";
import { ProducerData } from "../view/producer_data.js";
import { ServerTime } from "../view/server_time.js";

/** @typedef {import("../message.js").Message} Message */
/** @typedef {import("../producers.js").ProducerEntry} ProducerEntry */
/** @typedef {import("./bodies.js").Body} Body */

/** @typedef {Body & { producer: string }} Viewer an element, and the name of its producer */

/**
 * @typedef {object} Credentials
 * @property {string | null} token a login token
 * @property {string | null} ticketUrl address at which the page's own server gives tickets
 */

/** A page adds its elements one by one: they wait this long for each other. */
const GATHER_MS = 20;
/** An element that is moved is removed and added. */
const LINGER_MS = 1_000;
/** What lasts no longer than this is not reported. */
const PATIENCE_MS = 1_500;
/** Time to the request for titles and units after the first value of a new producer: others may follow. */
const DESCRIBE_SOON_MS = 300;
const TIMEOUT_MS = 5_000;
const NO_VALUE = "No value yet. Publish one, or correct the name.";
/** Time between two paintings while nothing arrives: ages, and the charts' edge. */
const TICK_MS = 250;

/** Every source of this page that has elements. @type {Map<string, Source>} */
const sources = new Map();

/**
 * Return the source of a server, one for all elements that log in alike.
 * @param {string} server its address, with a slash at the end
 * @param {Credentials} credentials
 * @returns {Source}
 */
export function sourceOf(server, credentials) {
  const key = JSON.stringify([server, credentials]);
  const source = sources.get(key) ?? new Source(server, credentials, () => sources.delete(key));
  sources.set(key, source);
  return source;
}

export class Source {
  #server;
  #ended;
  #login;
  /** @type {Set<Viewer>} */
  #viewers = new Set();
  /** @type {Map<string, ProducerData>} */
  #data = new Map();
  #time = new ServerTime(Date.now(), performance.now());
  /** @type {Live | null} null before the first connection */
  #live = null;
  /** Names that the connection asks for. @type {string[]} */
  #picked = [];
  /** Seconds of the past that it asks for. */
  #rewound = 0;
  /** Names of which the server's list had a description. @type {Set<string>} */
  #listed = new Set();
  /** performance.now() since when it is not live; infinite while it is. */
  #awaySince = performance.now();
  #painter = new Painter(
    () =>
      [...this.#viewers].map((viewer) => ({
        write: (frame) => viewer.write(frame, this.#problemOf(viewer, performance.now())),
        draw: viewer.draw,
      })),
    (at) => this.#frameAt(at),
  );
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settling;
  #ticking = setInterval(() => this.repaint(), TICK_MS);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #describing;
  /** The newest request for the list. @type {Promise<void>} */
  #listing = Promise.resolve();

  /**
   * @param {string} server
   * @param {Credentials} credentials
   * @param {() => void} ended called after the last element is gone
   */
  constructor(server, credentials, ended) {
    this.#server = server;
    this.#ended = ended;
    this.#login = loginOf(server, credentials, () => this.repaint());
  }

  /** @param {Viewer} viewer */
  add(viewer) {
    this.#viewers.add(viewer);
    this.#settle(GATHER_MS);
    this.repaint();
  }

  /** @param {Viewer} viewer */
  remove(viewer) {
    this.#viewers.delete(viewer);
    this.#settle(LINGER_MS);
  }

  /**
   * Return the data of a producer, which the connection fills.
   * @param {string} name
   */
  dataOf(name) {
    const data = this.#data.get(name) ?? new ProducerData(name);
    this.#data.set(name, data);
    return data;
  }

  /** Paint in the next frame. */
  repaint() {
    this.#painter.request();
  }

  /**
   * Connect as the elements need it, a little later: more of them may change.
   * @param {number} wait milliseconds
   */
  #settle(wait) {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#adapt(), wait);
  }

  get #wanted() {
    const names = new Set([...this.#viewers].map(({ producer }) => producer).filter(Boolean));
    return [...names].slice(0, MAX_NAMES);
  }

  #adapt() {
    const viewers = [...this.#viewers];
    if (viewers.length === 0) return this.#end();
    const [before, rewound] = [this.#picked, this.#rewound];
    this.#picked = this.#wanted;
    this.#rewound = Math.max(0, ...viewers.map(({ seconds }) => seconds));
    for (const name of this.#data.keys()) {
      if (!viewers.some(({ producer }) => producer === name)) this.#data.delete(name);
    }
    const isMore = this.#picked.some((name) => !before.includes(name));
    if (isMore) this.#listing = this.#describe();
    if (this.#live === null) return this.#begin();
    const isLonger = this.#rewound > rewound;
    // What is known would hide what is older.
    if (isLonger) for (const data of this.#data.values()) if (data.isShared) data.forget();
    if (isMore || this.#picked.length < before.length) this.#live.select(this.#picked);
    if (isMore || isLonger) this.#live.rewind(this.#past);
    this.repaint();
  }

  /** The past that is asked for; undefined for none. */
  get #past() {
    return this.#rewound > 0 ? `${this.#rewound}s` : undefined;
  }

  #begin() {
    const login = this.#login;
    this.#live = new Live(
      {
        url: this.#server,
        producers: this.#picked,
        rewind: this.#past,
        ticket: login === null ? undefined : () => login.ticket(),
      },
      {
        received: (message, at) => this.#receive(message, at),
        welcomed: (sentAt, at) => this.#time.set(sentAt, at),
        interrupted: () => this.#interrupt(),
        rewinding: () => this.#rewind(),
        changed: () => this.#stateChanged(),
      },
      // A page's own server may give tickets again, as after its user has logged in there.
      () => login === null || !login.hasToken || login.problem === "",
    );
    this.#live.connect();
  }

  #end() {
    clearInterval(this.#ticking);
    clearTimeout(this.#describing);
    this.#live?.close();
    this.#ended();
  }

  /**
   * @param {Message} message
   * @param {number} at performance.now()
   */
  #receive(message, at) {
    const data = this.#data.get(message.producer);
    if (data?.kind === null && !this.#listed.has(data.name)) this.#describeSoon();
    data?.take(message, this.#time.at(at));
    this.repaint();
  }

  /** Private producers are not in the log: what they sent meanwhile is missing. */
  #interrupt() {
    for (const data of this.#data.values()) if (!data.isShared) data.interrupt();
  }

  #rewind() {
    this.#interrupt();
    for (const data of this.#data.values()) if (data.isShared) data.expectPast();
  }

  #stateChanged() {
    const state = this.#live?.state;
    if (state === "live") this.#awaySince = Infinity;
    else this.#awaySince = Math.min(this.#awaySince, performance.now());
    this.repaint();
  }

  /** Ask again for titles and units, unless the request that is under way answers it. */
  #describeSoon() {
    clearTimeout(this.#describing);
    this.#describing = setTimeout(async () => {
      await this.#listing;
      const isNew = [...this.#data.values()].some(({ name, kind }) => kind !== null && !this.#listed.has(name));
      if (isNew && this.#viewers.size > 0) this.#listing = this.#describe();
    }, DESCRIBE_SOON_MS);
  }

  /** Ask for titles and units. What fails here, the connection reports. */
  async #describe() {
    const entries = await this.#list().catch(() => null);
    if (entries === null) {
      // Nothing will be known.
      for (const data of this.#data.values()) data.describe({ ...data.description });
      return;
    }
    this.#listed = new Set(entries.map(({ name }) => name));
    for (const { name, title, unit, low, high, period } of entries) {
      this.#data.get(name)?.describe({ title, unit, low, high, period });
    }
  }

  /** @returns {Promise<ProducerEntry[]>} */
  async #list() {
    const { href } = new URL("api/producers", this.#server);
    const address = this.#login === null || this.#login.hasToken ? href : await this.#login.admit(href);
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const request = { headers: this.#login?.headers ?? {}, cache: /** @type {const} */ ("no-store"), signal };
    const response = await fetch(address, request);
    if (!response.ok) throw new Error(`api/producers answered ${response.status}`);
    return response.json();
  }

  /**
   * @param {number} at performance.now()
   * @returns {import("../view/chart.js").Frame}
   */
  #frameAt(at) {
    const now = this.#time.at(at);
    return { now, edge: now, window: null, paused: false, lines: null };
  }

  /**
   * @param {Viewer} viewer
   * @param {number} at performance.now()
   */
  #problemOf({ producer }, at) {
    if (producer === "") return "No producer is named. Give its name in the attribute producer.";
    const isLong = at - this.#awaySince > PATIENCE_MS;
    if (isLong) return this.#live?.sentence ?? "Not live: nothing answers.";
    if (this.#live?.state !== "live") return "";
    if (!this.#wanted.includes(producer)) return `Not shown: a page picks at most ${MAX_NAMES} producers.`;
    return this.#data.get(producer)?.kind === null ? NO_VALUE : "";
  }
}

/**
 * @param {string} server
 * @param {Credentials} credentials
 * @param {() => void} changed
 * @returns {Login | null}
 */
function loginOf(server, { token, ticketUrl }, changed) {
  // The page has the token: it is kept nowhere else.
  if (ticketUrl !== null) return new Login(noStorage, changed, new URL(ticketUrl));
  if (token === null) return null;
  const login = new Login(noStorage, changed, new URL("api/ticket", server));
  login.enter(token);
  return login;
}

/** @returns {Storage} */
function noStorage() {
  throw new Error("nothing is stored");
}
