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
import { MAX_AUTO_S, mayHide, mistakeIn, readOptions, snippet } from "./address.js";
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
/** A connection that is younger when the past is asked for again has had little. */
const GIVEN_UP_MS = 5_000;
/** Plugins that are named with their errors. */
const MAX_PLUGINS = 3;

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
const list = new ProducerList(describe, async () => null, dataset.details === "yes", login);
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
    welcomed: (sentAt, at) => {
      time.set(sentAt, at);
      connectedAt = sentAt;
    },
    interrupted: () => producers.interrupt(),
    rewinding: () => {
      keptSince = -Infinity;
      // After a loss this connection is given up at once, and the next one starts private producers once more.
      const isNew = time.at(performance.now()) - connectedAt < GIVEN_UP_MS;
      producers.expectPast(isNew ? connectedAt : Infinity);
    },
    changed: paintState,
  },
  () => login === null || login.problem === "",
);
/** The log has nothing older, milliseconds since the epoch. */
let keptSince = -Infinity;
/** Whether the page has had all values of its producers that the log has. */
let hasWholePast = isAllSince(Number(dataset.now) - rewound * 1000);
/** By the server's clock, milliseconds since the epoch. */
let connectedAt = -Infinity;
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
  // Before the cards are placed: they fit the room that is left.
  table?.remove();
  if (producers.shown.length > 0) added();
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
  if (list.pollError !== "") producers.describeNothing();
  failing.look(list.producers ?? [], performance.now());
  paintFailing();
  painter.request();
}

/** Name the plugins with errors, and the producers that fail: these have no values or only old ones. */
function paintFailing() {
  const { text, isUrgent } = failing.report((name) => producers.shows(name));
  const errors = list.pluginErrors;
  const more = errors.length > MAX_PLUGINS ? [`Errors of plugins that are not shown: ${errors.length - MAX_PLUGINS}.`] : [];
  const all = [...errors.slice(0, MAX_PLUGINS), ...more, text].filter(Boolean).join(" ");
  part(document, "failing").hidden = all === "";
  write(part(document, "failing"), all);
  if (isUrgent || (errors.length > 0 && !document.hidden)) describeIn(FAILING_MS);
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
  if (without !== undefined) placeOthers();
  pausedAt = toolbar.isPaused ? (pausedAt ?? time.at(performance.now())) : null;
  const window = options.window ?? MAX_AUTO_S;
  if (window > rewound) {
    rewound = window;
    live.want(`${rewound}s`);
    // To connect again starts private producers anew.
    if (!hasWholePast && keptSince === -Infinity) {
      producers.forgetShared();
      rewind();
    }
  }
  paintNotes();
  paintMistake();
  painter.request();
}

/** A card is hidden, or all are shown again. */
function placeOthers() {
  const isPastNeeded = producers.rearrange();
  cards.place(producers.sorted);
  part(document, "more").hidden = producers.more === 0;
  paintEmpty();
  paintFailing();
  // One that came while it was hidden has no title yet.
  describeIn(DESCRIBE_SOON_MS);
  if (isPastNeeded) rewind();
}

/** Connect again, for the past of all producers that are shown. */
function rewind() {
  live.rewind();
  hasWholePast = isAllSince(time.at(performance.now()) - rewound * 1000);
}

/**
 * Return whether the log has nothing from before a time. Where a login is needed, that is not known.
 * @param {number} moment milliseconds since the epoch
 */
function isAllSince(moment) {
  return Number(dataset.logFrom) > moment;
}

/** Say why there are no cards. */
function paintEmpty() {
  const isEmpty = producers.shown.length === 0;
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

/** Name what is wrong in the address. A choice puts it right. */
function paintMistake() {
  const mistake = mistakeIn(location.search);
  write(part(document, "mistake"), mistake);
  part(document, "mistake").hidden = mistake === "";
}

/** Write that the charts are paused, and what is not shown: older values, and more producers. */
function paintNotes() {
  const edge = pausedAt ?? time.at(performance.now());
  const isCut = keptSince > edge - (options.window ?? MAX_AUTO_S) * 1000;
  const notes = [
    pausedAt === null ? "" : `Charts paused at ${clockText(pausedAt)}.`,
    isCut ? `Values before ${clockText(keptSince)} are no longer kept.` : "",
  ];
  write(part(document, "kept"), notes.filter(Boolean).join(" "));
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
  const { window, lines } = options;
  return { now, edge: pausedAt ?? now, window, paused: pausedAt !== null, lines };
}

setInterval(() => {
  paintNotes();
  toolbar.offerLines(producers.shown.some(({ series }) => series.lines > 1));
  painter.request();
}, TICK_MS);
setInterval(() => document.hidden || void list.refresh(), DESCRIBE_MS);
write(part(document, "snippet"), snippet(location.href));
paintMistake();
arrange();
describeIn(FAILING_MS);
takeTable();
paintState();
live.connect();
