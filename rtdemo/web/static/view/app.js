// @ts-check
/**
 * Connects the parts of the view: its connection, the producers' data, and their cards.
 * @module view/app
 */
import { Login } from "../connection/login.js";
import { SseTransport } from "../connection/sse.js";
import { Tabs, openChannel } from "../connection/tabs.js";
import { WebSocketTransport, websocketUrl } from "../connection/websocket.js";
import { part, write } from "../dom.js";
import { ResourceTiming } from "../measure/resource_timing.js";
import { parse } from "../message.js";
import { ProducerList } from "../producers.js";
import { LoginForm } from "../login_form.js";
import { addressWith, readOptions } from "./address.js";
import { shownSeconds } from "./axis.js";
import { Card } from "./card.js";
import { Live } from "./live.js";
import { ProducersData } from "./producers_data.js";
import { ServerTime } from "./server_time.js";

/** @typedef {import("./producer_data.js").Description} Description */
/** @typedef {import("./producer_data.js").ProducerData} ProducerData */

/** Time between two looks at what has changed while nothing arrives: ages, and the charts' edge. */
const TICK_MS = 250;
/** With reduced motion, time between two paintings. */
const CALM_MS = 1_000;
/** Painting stops after this time, and goes on in the next frame. */
const PAINT_BUDGET_MS = 8;
/** Time between two requests for titles and units; also after a new name. */
const DESCRIBE_MS = 30_000;
const DESCRIBE_SOON_MS = 300;

const { dataset } = document.documentElement;
const options = readOptions(location.search);
const producers = new ProducersData(options.producers, (dataset.builtIn ?? "").split(","));
const time = new ServerTime(Number(dataset.now), performance.now());
const calm = matchMedia("(prefers-reduced-motion: reduce)");
/** @type {Map<ProducerData, Card>} */
const cards = new Map();
const grid = part(document, "cards");
const login = dataset.login === "yes" ? new Login(() => sessionStorage, () => paintState()) : null;
const loginForm = login === null ? null : new LoginForm(document, login, entered);
const list = new ProducerList(describe, async () => null, false, login);
const timing = new ResourceTiming(new URL("api/sse", location.href).pathname, () => undefined);
const tabs = new Tabs(openChannel("rtdemo-streams"));
const urls = {
  websocket: websocketUrl(location, dataset.websocketPort ?? ""),
  sse: new URL("api/sse", location.href),
};
/** Seconds of the past that were asked for. */
let rewound = options.window;
/** @type {number | null} milliseconds since the epoch, by the server's clock */
let pausedAt = null;
let isDue = false;
let paintedAt = -Infinity;
/** Index of the first card to paint in the next frame. */
let next = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let describing;

const live = new Live(
  {
    websocket: (events) => new WebSocketTransport(() => addressOf(urls.websocket), events, login),
    sse: (events) => new SseTransport(() => addressOf(urls.sse), events, timing, tabs, login),
  },
  {
    received: (message, at) => {
      if (producers.take(message, time.at(at))) added();
      repaint();
    },
    welcomed: (sentAt, at) => time.set(sentAt, at),
    interrupted: () => {
      for (const data of producers.byName.values()) if (!data.isShared) data.interrupt();
    },
    rewinding: () => {
      for (const data of producers.byName.values()) {
        data.interrupt();
        if (data.isShared) data.expectPast();
      }
    },
    changed: paintState,
  },
  () => login === null || login.problem === "",
);

/** The reader has entered a token. */
function entered() {
  live.connect("websocket", "");
  void list.refresh();
}

/** @param {URL} url */
function addressOf(url) {
  const address = new URL(url);
  const { searchParams } = address;
  if (options.producers !== null) searchParams.set("producers", options.producers.join(","));
  searchParams.set("latest", "1");
  searchParams.set("rewind", `${rewound}s`);
  // A connection by the other transport continues too.
  if (live.position !== null) searchParams.set("last_event_id", live.position);
  return address.href;
}

/** Take over the table that the server has written. */
function takeTable() {
  const table = document.querySelector('[data-part="first"]');
  for (const row of table?.querySelectorAll("tbody tr") ?? []) {
    if (!(row instanceof HTMLElement)) continue;
    const message = parse(row.dataset.message);
    if (message !== null && producers.take(message, time.at(performance.now()))) {
      const data = producers.byName.get(message.producer);
      data?.describe(JSON.parse(row.dataset.description ?? "{}"));
      data?.expectAll();
    }
  }
  if (producers.byName.size > 0) added();
  table?.remove();
}

/** There is a new producer: place its card. */
function added() {
  const sorted = producers.sorted;
  sorted.forEach((data, index) => {
    if (cards.has(data)) return;
    const card = new Card(data, { announce: (text) => write(part(document, "readout"), text), changed: repaint });
    cards.set(data, card);
    grid.insertBefore(card.element, grid.children[index] ?? null);
  });
  part(document, "empty").hidden = sorted.length > 0;
  grid.dataset.count = String(sorted.length);
  clearTimeout(describing);
  describing = setTimeout(() => void list.refresh(), DESCRIBE_SOON_MS);
}

/** Take titles, units and periods from the server's list. */
function describe() {
  for (const { name, on } of list.producers ?? []) {
    const entry = on.websocket ?? on.sse;
    if (entry === null) continue;
    const { title, unit, low, high, period } = entry;
    producers.byName.get(name)?.describe({ title, unit, low, high, period });
  }
  repaint();
}

function paintState() {
  const { state, sentence } = live;
  part(document, "status").dataset.state = state;
  write(part(document, "sentence"), sentence);
  loginForm?.paint();
}

/** Count the producers without a card. */
function paintMore() {
  const { more } = producers;
  if (more === 0) return;
  part(document, "more").hidden = false;
  const sentence = `${more} more ${more === 1 ? "producer is" : "producers are"} not shown.`;
  write(part(document, "more"), `${sentence} Pick some in the address: ?producers=NAME,NAME`);
}

function repaint() {
  if (isDue || document.hidden) return;
  isDue = true;
  requestAnimationFrame(paint);
}

function paint() {
  isDue = false;
  const at = performance.now();
  if (calm.matches && at - paintedAt < CALM_MS) return;
  const now = time.at(at);
  const edge = pausedAt ?? now;
  const frame = { now, edge, seconds: shownSeconds(options.window, oldestAge(edge)), paused: pausedAt !== null };
  const all = [...cards.values()];
  for (let count = 0; count < all.length; count += 1) {
    next = (next + 1) % all.length;
    all[next].paint(frame, at);
    if (performance.now() - at > PAINT_BUDGET_MS) return repaint();
  }
  paintMore();
  paintedAt = at;
}

/**
 * Return the age of the oldest point of all charts, seconds: young charts are not mostly empty.
 * @param {number} now milliseconds since the epoch
 */
function oldestAge(now) {
  let oldest = now;
  for (const { series } of producers.byName.values()) if (series.length > 0) oldest = Math.min(oldest, series.at[0]);
  return (now - oldest) / 1000;
}

/** @param {number} seconds */
function showWindow(seconds) {
  options.window = seconds;
  for (const button of windowButtons) button.setAttribute("aria-pressed", String(Number(button.dataset.window) === seconds));
  if (seconds > rewound) {
    rewound = seconds;
    for (const data of producers.byName.values()) if (data.isShared) data.forget();
    live.rewind();
  }
  repaint();
}

const windowButtons = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-window]")]);
for (const button of windowButtons) {
  button.addEventListener("click", () => {
    showWindow(Number(button.dataset.window));
    history.replaceState(null, "", addressWith(location.href, options));
  });
}
const pause = part(document, "pause");
pause.addEventListener("click", () => {
  pausedAt = pausedAt === null ? time.at(performance.now()) : null;
  pause.setAttribute("aria-pressed", String(pausedAt !== null));
  repaint();
});
document.addEventListener("visibilitychange", repaint);
if (options.columns !== null) {
  grid.dataset.columns = "given";
  grid.style.setProperty("--columns", String(options.columns));
}
setInterval(repaint, TICK_MS);
setInterval(() => document.hidden || void list.refresh(), DESCRIBE_MS);
takeTable();
showWindow(options.window);
paintState();
live.start();
