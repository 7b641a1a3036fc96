// @ts-check
/**
 * Wires the page: the clock, two sides, two panels, the producers, and the buttons for both.
 * @module app
 */
import { Clock, probe } from "./clock.js";
import { Control } from "./control.js";
import { margin } from "./format.js";
import { gathered, part, write } from "./page.js";
import { Panel } from "./panel.js";
import { ProducersPanel } from "./producers_panel.js";
import { Roster } from "./roster.js";
import { selectionFrom } from "./selection.js";
import { Side } from "./side.js";
import { SseTransport } from "./sse.js";
import { startTooltips } from "./tooltips.js";
import { WebSocketTransport, websocketUrl } from "./websocket.js";

const port = document.documentElement.dataset.websocketPort ?? "";
const urls = { websocket: websocketUrl(location, port), sse: new URL("/api/sse", location.href) };
const start = selectionFrom(location.search);
const controls = { websocket: new Control(start), sse: new Control(start) };
const address = {
  websocket: () => controls.websocket.address(urls.websocket),
  sse: () => controls.sse.address(urls.sse),
};

const repaint = gathered(paint);
const clock = new Clock(() => probe("/api/time"), repaint);
const websocket = new Side(
  (events) => new WebSocketTransport(address.websocket, events),
  clock,
  controls.websocket,
  repaint,
);
const sse = new Side((events) => new SseTransport(address.sse, events), clock, controls.sse, repaint);
const sides = [websocket, sse];
const panels = ["websocket", "sse"].map((name, index) => new Panel(part(document, name), sides[index], repaint));
const roster = new Roster(listed);
const producers = new ProducersPanel(part(document, "producers"), { websocket, sse }, roster, repaint);
/** @type {(string | null)[]} */
let clients = [];
const both = part(document, "both");

function bothActive() {
  return sides.every(({ active }) => active);
}

/** A plugin may offer a connection producers of its own, which the list has only then. */
function refreshAfterConnect() {
  const now = sides.map(({ client }) => client);
  if (now.some((client, index) => client !== null && client !== clients[index])) void roster.refresh();
  clients = now;
}

function listed() {
  for (const side of sides) side.learn(roster.producers ?? []);
  repaint();
}

function paint() {
  for (const panel of panels) panel.paint();
  producers.paint();
  refreshAfterConnect();
  write(both, bothActive() ? "Disconnect both" : "Connect both");
  const now = clock.at(performance.now());
  write(part(document, "clock"), now === null ? "not known yet" : `known to ± ${margin(now.error)} ms`);
}

both.addEventListener("click", () => {
  const active = bothActive();
  for (const side of sides) {
    if (active) side.disconnect();
    else side.connect();
  }
});
part(document, "reset-both").addEventListener("click", () => {
  for (const side of sides) side.reset();
});
startTooltips(document);
clock.start();
roster.start();
repaint();
