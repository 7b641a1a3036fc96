// @ts-check
/**
 * Wires the page: the clock, two sides, two panels, the charts, the verdict, the producers, and the buttons for both.
 * @module app
 */
import { Attention } from "./measure/visibility.js";
import { Charts } from "./views/charts.js";
import { Clock, probe } from "./measure/server_clock.js";
import { schedule as scheduleOf } from "./compare/comparable.js";
import { Control, selectionFrom } from "./connection/selection.js";
import { ExportPanel } from "./views/export_panel.js";
import { ConnectionFacts } from "./compare/connection_info.js";
import { margin } from "./format.js";
import { Judge } from "./compare/verdict.js";
import { gathered, part, write } from "./dom.js";
import { Panel } from "./views/panel.js";
import { ProducersPanel } from "./views/producers_panel.js";
import { Roster } from "./producers.js";
import { Side } from "./connection/side.js";
import { SseTransport } from "./connection/sse.js";
import { Tabs } from "./connection/tabs.js";
import { Timing } from "./measure/resource_timing.js";
import { startTooltips } from "./views/tooltips.js";
import { Toolbar } from "./views/toolbar.js";
import { VerdictPanel } from "./views/verdict_panel.js";
import { View } from "./views/time_window.js";
import { WebSocketTransport, websocketUrl } from "./connection/websocket.js";

/**
 * How far apart two paintings are. One costs a browser without a graphics card 5 to 15 ms, in which no message is taken:
 * twenty a second held up every fifth message of 100 a second, and p95 told of nothing else.
 */
const PACE_MS = 250;

const { dataset } = document.documentElement;
const urls = {
  websocket: websocketUrl(location, dataset.websocketPort ?? ""),
  sse: new URL("/api/sse", location.href),
};
const start = selectionFrom(location.search);
const controls = { websocket: new Control(start), sse: new Control(start) };
const address = {
  websocket: () => controls.websocket.address(urls.websocket),
  sse: () => controls.sse.address(urls.sse),
};

const repaint = gathered(paint, PACE_MS);
const clock = new Clock(() => probe("/api/time"), repaint);
const attention = new Attention(seen);
const timing = new Timing(urls.sse.pathname, repaint);
const tabs = new Tabs(new BroadcastChannel("rtdemo-streams"));
const reader = { clock, attention };
const sides = {
  websocket: new Side(
    (events) => new WebSocketTransport(address.websocket, events),
    reader,
    controls.websocket,
    repaint,
  ),
  sse: new Side((events) => new SseTransport(address.sse, events, timing, tabs), reader, controls.sse, repaint),
};
const { websocket, sse } = sides;
const pair = [websocket, sse];
const roster = new Roster(listed, () => tabs.reason(timing.protocol));
const probes = dataset.probes === "yes";
const facts = { websocket: new ConnectionFacts(probes, repaint), sse: new ConnectionFacts(probes, repaint) };
const schedule = () => {
  const chosen = { websocket: controls.websocket.chosen, sse: controls.sse.chosen };
  return roster.producers === null ? null : scheduleOf(roster.producers, chosen);
};
const judge = new Judge([websocket.measuring.recording, sse.measuring.recording], schedule, repaint);
const view = new View(location.search);
const verdict = new VerdictPanel(part(document, "verdict"), sides, facts, timing, judge, schedule);
const views = [
  new Charts(document, sides, view, clock, repaint),
  new Panel(part(document, "websocket"), websocket, () => "", view, repaint),
  new Panel(part(document, "sse"), sse, () => timing.line, view, repaint),
  new Toolbar(document, pair, view, repaint),
  verdict,
  new ExportPanel(part(document, "verdict"), sides, view, clock, verdict),
  new ProducersPanel(part(document, "producers"), sides, roster, repaint),
];
/** @type {(string | null)[]} */
let clients = [];

/** A plugin may offer a connection producers of its own, which the list has only then. */
function refreshAfterConnect() {
  const now = pair.map(({ client }) => client);
  if (now.some((client, index) => client !== null && client !== clients[index])) void roster.refresh();
  clients = now;
}

function listed() {
  websocket.learn(roster.producers ?? [], "websocket");
  sse.learn(roster.producers ?? [], "sse");
  repaint();
}

/**
 * @param {boolean} hidden
 * @param {number} at
 */
function seen(hidden, at) {
  for (const { measuring } of pair) measuring.seen(hidden, at);
  repaint();
}

function paint() {
  facts.websocket.follow(websocket.client);
  facts.sse.follow(sse.client);
  for (const each of views) each.paint();
  refreshAfterConnect();
  const now = clock.at(performance.now());
  write(part(document, "clock"), now === null ? "not known yet" : `known to ± ${margin(now.error)} ms`);
}

startTooltips(document);
clock.start();
roster.start();
judge.start();
setInterval(() => {
  if (!document.hidden && pair.some(({ active }) => active)) repaint();
}, PACE_MS);
if (document.hidden) seen(true, 0);
repaint();
