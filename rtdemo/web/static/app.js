// @ts-check
/**
 * Connects the parts of the page: clock, two sides, comparison, and the panels that show them.
 * @module app
 */
import { commonSchedule } from "./compare/comparable.js";
import { ConnectionInfoLoader } from "./compare/connection_info.js";
import { failures } from "./compare/parity.js";
import { QuickComparison } from "./compare/quick_comparison.js";
import { Comparison, verdictSentence, waitingSentence } from "./compare/verdict.js";
import { Login } from "./connection/login.js";
import { SelectionSync, selectionFrom } from "./connection/selection.js";
import { Side } from "./connection/side.js";
import { SseTransport } from "./connection/sse.js";
import { Tabs, openChannel } from "./connection/tabs.js";
import { WebSocketTransport, websocketUrl } from "./connection/websocket.js";
import { paintScheduler, part, write } from "./dom.js";
import { margin } from "./format.js";
import { ResourceTiming } from "./measure/resource_timing.js";
import { SavedRun } from "./measure/saved_run.js";
import { ServerClock, probe } from "./measure/server_clock.js";
import { SuspensionDetector } from "./measure/suspension.js";
import { PageVisibility } from "./measure/visibility.js";
import { ProducerList, TRANSPORTS } from "./producers.js";
import { ChartControls } from "./panels/chart_controls.js";
import { Charts } from "./panels/charts.js";
import { startExplanations } from "./panels/explanations.js";
import { ExportPanel } from "./panels/export_panel.js";
import { FairnessPanel } from "./panels/fairness_panel.js";
import { FaultsPanel } from "./panels/faults_panel.js";
import { Figures } from "./panels/figures.js";
import { LoginForm } from "./login_form.js";
import { Panel } from "./panels/panel.js";
import { ProducersPanel } from "./panels/producers_panel.js";
import { Scoreboard } from "./panels/scoreboard.js";
import { TimeWindow } from "./panels/time_window.js";

/**
 * Least time between two paintings. One takes 5 to 15 ms in all without a graphics card, and delays messages meanwhile: 20
 * a second delayed every fifth of 100 messages a second, and p95 showed only that.
 */
const PAINT_INTERVAL_MS = 250;

/** @typedef {import("./measure/recording.js").Recording} Recording */

const { dataset } = document.documentElement;
const urls = {
  websocket: websocketUrl(location, dataset.websocketPort ?? ""),
  sse: new URL("api/sse", location.href),
};
const selections = {
  websocket: new SelectionSync(selectionFrom(location.search, "websocket")),
  sse: new SelectionSync(selectionFrom(location.search, "sse")),
};
const address = {
  websocket: () => selections.websocket.address(urls.websocket),
  sse: () => selections.sse.address(urls.sse),
};

const repaint = paintScheduler(paint, PAINT_INTERVAL_MS);
const login = dataset.login === "yes" ? new Login(() => sessionStorage, repaint) : null;
const clock = new ServerClock((tick) => probe("api/time", tick), repaint, clockSet);
const visibility = new PageVisibility(visibilityChanged);
const timing = new ResourceTiming(urls.sse.pathname, repaint);
const tabs = new Tabs(openChannel("rtdemo-streams"));
const suspension = new SuspensionDetector(resumed);
const environment = { clock, visibility, suspension };
const sides = {
  websocket: new Side(
    (events) => new WebSocketTransport(address.websocket, events, login),
    environment,
    selections.websocket,
    repaint,
  ),
  sse: new Side(
    (events) => new SseTransport(address.sse, events, timing, tabs, login),
    environment,
    selections.sse,
    repaint,
  ),
};
const { websocket, sse } = sides;
const pair = [websocket, sse];
const explainNoAnswer = () => tabs.explainNoAnswer(timing.protocol);
const producerList = new ProducerList(producersChanged, explainNoAnswer, dataset.details === "yes", login);
const probes = dataset.probes === "yes";
const connectionInfo = {
  websocket: new ConnectionInfoLoader(probes, repaint),
  sse: new ConnectionInfoLoader(probes, repaint),
};
const schedule = () => {
  const chosen = { websocket: selections.websocket.chosen, sse: selections.sse.chosen };
  return producerList.producers === null ? null : commonSchedule(producerList.producers, chosen);
};
const recordings = /** @type {[Recording, Recording]} */ (pair.map(({ measurement }) => measurement.recording));
const comparison = new Comparison(recordings, schedule, repaint);
const timeWindow = new TimeWindow(location.search);
const quick = new QuickComparison(pair, comparison, reset, repaint);
const fairness = new FairnessPanel(part(document, "fairness"), sides, connectionInfo, timing, schedule);
const verdict = {
  get sentence() {
    // Until both have messages there is no comparison that could be invalid.
    const failed = recordings.every(({ ring }) => ring.length > 0) ? failures(fairness.lines) : [];
    return verdictSentence(comparison.findings, failed, waitingSentence(recordings, pair.every(({ open }) => open)));
  },
  get lines() {
    return fairness.lines;
  },
};
const figureTable = part(document, "figures");
const scoreboard = new Scoreboard(document, sides, comparison, quick, () => verdict.sentence);
const charts = new Charts(document, sides, timeWindow, clock, repaint);
const sidePanels = [
  new Panel(part(document, "websocket"), websocket, reset, repaint),
  new Panel(part(document, "sse"), sse, reset, repaint),
];
const panels = [
  new ChartControls(document, timeWindow, repaint),
  fairness,
  scoreboard,
  new Figures(figureTable, "websocket", websocket, () => ""),
  new Figures(figureTable, "sse", sse, () => timing.line),
  ...faultsPanels(),
  new ExportPanel(part(document, "saving"), sides, timeWindow, clock, verdict),
  new ProducersPanel(part(document, "producers"), sides, producerList, repaint),
  ...(login === null ? [] : [new LoginForm(document, login, entered, forgotten)]),
];
/** @type {(string | null)[]} */
let clients = [];

/** The reader has entered a token. */
function entered() {
  for (const side of pair) side.dismissRefusal();
  void producerList.refresh();
}

/** The reader has had the token forgotten. What it has shown goes with it: the next reader may be another user. */
function forgotten() {
  for (const side of pair) {
    side.disconnect();
    reset(side);
    side.ledger.forgetAll();
  }
  producerList.forget();
  void producerList.refresh();
}

/** None if the server disables fault injection. */
function faultsPanels() {
  return TRANSPORTS.flatMap((name) => {
    const root = document.querySelector(`.side-faults[data-side="${name}"]`);
    return root instanceof HTMLElement ? [new FaultsPanel(root, sides[name])] : [];
  });
}

/** A plugin may offer producers for one connection, which are in the list only once it is open. */
function refreshAfterConnect() {
  const now = pair.map(({ client }) => client);
  if (now.some((client, index) => client !== null && client !== clients[index])) void producerList.refresh();
  clients = now;
}

function producersChanged() {
  websocket.setProducers(producerList.producers ?? [], "websocket");
  sse.setProducers(producerList.producers ?? [], "sse");
  repaint();
}

/**
 * @param {boolean} hidden
 * @param {number} at performance.now()
 */
function visibilityChanged(hidden, at) {
  for (const { measurement } of pair) measurement.visibilityChanged(hidden, at);
  repaint();
}

/**
 * Clear a side's figures. The verdict that they gave, and charts that a pause keeps, end with them.
 * @param {Side} side
 */
function reset(side) {
  timeWindow.pausedAt = null;
  comparison.clear();
  side.reset();
}

/** @param {import("./measure/suspension.js").Suspension} pause */
function resumed(pause) {
  if (pause.clockStopped) clock.distrust();
  for (const { measurement } of pair) measurement.suspended(pause);
  repaint();
}

/** @param {number} since performance.now() */
function clockSet(since) {
  for (const { measurement } of pair) measurement.clockSet(since);
  comparison.update();
  repaint();
}

/**
 * Paint in parts, each in a frame of its own: together they would be a long task where the browser is slow. A side's state is
 * last: once it is seen, so is what follows from it.
 * @returns {Generator<undefined, void>}
 */
function* paint() {
  connectionInfo.websocket.follow(websocket.client);
  connectionInfo.sse.follow(sse.client);
  yield* charts.paint();
  for (const panel of panels) panel.paint();
  refreshAfterConnect();
  const now = clock.at(performance.now());
  write(part(document, "clock"), now === null ? "not known yet" : `known to ± ${margin(now.error)} ms`);
  for (const panel of sidePanels) {
    yield;
    panel.paint();
  }
}

startExplanations(document);
clock.start();
suspension.start();
producerList.start();
comparison.start();
setInterval(() => {
  // A hidden page has no frames to paint in. Its title, in the browser's tab, is seen all the same.
  if (document.hidden) scoreboard.paint();
  else if (pair.some(({ active }) => active)) repaint();
}, PAINT_INTERVAL_MS);
if (document.hidden) visibilityChanged(true, 0);
// Before the run is saved: its rate is not the reader's choice.
addEventListener("pagehide", () => quick.stop());
new SavedRun(() => sessionStorage, sides).start();
if (new URLSearchParams(location.search).get("connect") === "1") for (const side of pair) side.connect();
repaint();
