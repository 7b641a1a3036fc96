// @ts-check
/**
 * Wires the page: the clock, two sides, two panels, and the buttons for both.
 * @module app
 */
import { Clock, probe } from "./clock.js";
import { margin } from "./format.js";
import { gathered, part, write } from "./page.js";
import { Panel } from "./panel.js";
import { Side } from "./side.js";
import { SseTransport } from "./sse.js";
import { startTooltips } from "./tooltips.js";
import { withChoices } from "./transport.js";
import { WebSocketTransport, websocketUrl } from "./websocket.js";

const port = document.documentElement.dataset.websocketPort ?? "";
const addresses = {
  websocket: withChoices(websocketUrl(location, port), location.search),
  sse: withChoices(new URL("/api/sse", location.href), location.search),
};

const repaint = gathered(paint);
const clock = new Clock(() => probe("/api/time"), repaint);
const sides = [
  new Side((events) => new WebSocketTransport(addresses.websocket, events), clock, repaint),
  new Side((events) => new SseTransport(addresses.sse, events), clock, repaint),
];
const panels = ["websocket", "sse"].map((name, index) => new Panel(part(document, name), sides[index], repaint));
const both = part(document, "both");

function bothActive() {
  return sides.every(({ active }) => active);
}

function paint() {
  for (const panel of panels) panel.paint();
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
repaint();
