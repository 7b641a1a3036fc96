// @ts-check
/**
 * Connects the parts of the view: its connection, the producers' data, and their cards.
 * @module view/app
 */
import { Login } from "../connection/login.js";
import { Tabs, openChannel } from "../connection/tabs.js";
import { part, write } from "../dom.js";
import { LoginForm } from "../login_form.js";
import { ProducerList } from "../producers.js";
import { MAX_AUTO_S, mayHide, readOptions, snippet } from "./address.js";
import { shownSeconds } from "./axis.js";
import { Cards } from "./cards.js";
import { clockText } from "./chart.js";
import { Failing } from "./failing.js";
import { readFirstPaint } from "./first_paint.js";
import { Live } from "./live.js";
import { Painter } from "./painter.js";
import { ProducersData } from "./producers_data.js";
import { ServerTime } from "./server_time.js";
import { Toolbar } from "./toolbar.js";

/** Time between two looks at what has changed while nothing arrives: ages, and the charts' edge. */
const TICK_MS = 250;
/** Time between two requests for titles and units; also after a new name. */
const DESCRIBE_MS = 30_000;
const DESCRIBE_SOON_MS = 300;
/** The same after the page has opened, and while a producer fails. */
const FAILING_MS = 3_000;

const { dataset } = document.documentElement;
const options = readOptions(location.search);
const producers = new ProducersData(options, (dataset.builtIn ?? "").split(","));
const time = new ServerTime(Number(dataset.now), performance.now());
/** @type {Painter} */
const painter = new Painter(() => cards.all, frameAt);
const announce = (/** @type {string} */ text) => write(part(document, "readout"), text);
const hide = (/** @type {string} */ name) => toolbar.hide(name);
const cards = new Cards(part(document, "cards"), { announce, changed: painter.request, hide });
const toolbar = new Toolbar(document, options, chosen);
const login = dataset.login === "yes" ? new Login(() => sessionStorage, () => paintState()) : null;
const loginForm = login === null ? null : new LoginForm(document, login, connectAgain, forgotten);
const list = new ProducerList(describe, async () => null, false, login);
const failing = new Failing();
const tabs = new Tabs(openChannel("rtdemo-streams"));
/** Seconds of the past that were asked for. */
let rewound = options.window ?? MAX_AUTO_S;
const live = new Live(
  {
    producers: options.producers ?? undefined,
    rewind: `${rewound}s`,
    ticket: login === null ? undefined : () => login.ticket(),
  },
  {
    received,
    welcomed: (sentAt, at) => time.set(sentAt, at),
    interrupted: () => producers.interrupt(),
    rewinding: () => {
      keptSince = -Infinity;
      producers.expectPast();
    },
    changed: paintState,
  },
  () => login === null || login.problem === "",
);
/** The log has nothing older, milliseconds since the epoch. */
let keptSince = -Infinity;
/** By the server's clock, milliseconds since the epoch. @type {number | null} */
let pausedAt = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let describing;

/**
 * @param {import("../message.js").Message} message
 * @param {number} at performance.now() at which it arrived
 */
function received(message, at) {
  if (message.truncated) keptSince = message.sentAt;
  if (producers.take(message, time.at(at))) added();
  painter.request();
}

/** The reader has entered a token: the connection of the one before ends. */
function connectAgain() {
  live.connect();
  void list.refresh();
}

/** The reader has had the token forgotten. What it has shown goes with it: the next reader may be another user. */
function forgotten() {
  producers.forgetAll();
  cards.place(producers.sorted);
  keptSince = -Infinity;
  announce("");
  part(document, "more").hidden = true;
  paintEmpty();
  list.forget();
  live.forget();
  connectAgain();
}

/** Take over the table that the server has written. */
function takeTable() {
  const table = document.querySelector('[data-part="first"]');
  for (const { message, description } of readFirstPaint(table)) {
    producers.takeProvisional(message, description, time.at(performance.now()));
  }
  if (producers.byName.size > 0) added();
  table?.remove();
}

/** There is a new producer: place its card. */
function added() {
  cards.place(producers.sorted);
  paintEmpty();
  describeIn(DESCRIBE_SOON_MS);
}

/** Take titles, units and periods from the server's list. */
function describe() {
  for (const { name, on } of list.producers ?? []) {
    const entry = on.websocket ?? on.sse;
    if (entry === null) continue;
    const { title, unit, low, high, period } = entry;
    producers.byName.get(name)?.describe({ title, unit, low, high, period });
  }
  failing.look(list.producers ?? [], performance.now());
  paintFailing();
  painter.request();
}

/** Name the producers that fail, which have no values or only old ones. */
function paintFailing() {
  const { text, isUrgent } = failing.report((name) => producers.shows(name));
  part(document, "failing").hidden = text === "";
  write(part(document, "failing"), text);
  if (isUrgent) describeIn(FAILING_MS);
}

/** @param {number} milliseconds */
function describeIn(milliseconds) {
  clearTimeout(describing);
  describing = setTimeout(() => void list.refresh(), milliseconds);
}

/**
 * The reader has chosen what to show.
 * @param {Partial<import("./address.js").Options>} choice
 */
function chosen({ without }) {
  arrange();
  if (without !== undefined) placeOthers(without);
  pausedAt = toolbar.isPaused ? (pausedAt ?? time.at(performance.now())) : null;
  const window = options.window ?? MAX_AUTO_S;
  if (window > rewound) {
    rewound = window;
    producers.forgetShared();
    live.rewind(`${rewound}s`);
  }
  paintNotes();
  painter.request();
}

/**
 * A card is hidden, or all are shown again.
 * @param {string[]} without
 */
function placeOthers(without) {
  const { more } = producers;
  const someReturn = without.length === 0;
  producers.forgetHidden(someReturn);
  cards.place(producers.sorted);
  part(document, "more").hidden = true;
  paintEmpty();
  paintFailing();
  // Those that return need their past, and so does one that takes a free place.
  if (someReturn || more > 0) live.rewind();
}

/** Say why there are no cards. */
function paintEmpty() {
  const isEmpty = producers.byName.size === 0;
  part(document, "empty").hidden = !isEmpty || options.without.length > 0;
  part(document, "rest").hidden = !isEmpty || options.without.length === 0;
}

function arrange() {
  cards.arrange(options.columns, mayHide(location.href, options));
}

function paintState() {
  const { state, sentence, holdsStream } = live;
  tabs.holdsStream = holdsStream;
  part(document, "status").dataset.state = state;
  write(part(document, "sentence"), sentence);
  loginForm?.paint();
}

/** Write what is not shown: older values, and more producers. */
function paintNotes() {
  const edge = pausedAt ?? time.at(performance.now());
  const isCut = keptSince > edge - (options.window ?? MAX_AUTO_S) * 1000;
  write(part(document, "kept"), isCut ? `Values before ${clockText(keptSince)} are no longer kept.` : "");
  const { more } = producers;
  if (more === 0) return;
  part(document, "more").hidden = false;
  const sentence = `${more} more ${more === 1 ? "producer is" : "producers are"} not shown.`;
  write(part(document, "more"), `${sentence} Pick some in the address: ?producers=NAME,NAME`);
}

/**
 * @param {number} at performance.now()
 * @returns {import("./chart.js").Frame}
 */
function frameAt(at) {
  const now = time.at(at);
  const edge = pausedAt ?? now;
  const seconds = shownSeconds(options.window, (edge - producers.oldest(edge)) / 1000);
  return { now, edge, seconds, paused: pausedAt !== null };
}

setInterval(() => {
  paintNotes();
  painter.request();
}, TICK_MS);
setInterval(() => document.hidden || void list.refresh(), DESCRIBE_MS);
write(part(document, "snippet"), snippet(location.href));
arrange();
describeIn(FAILING_MS);
takeTable();
paintState();
live.connect();
