// One connection to rtdemo over either transport, as docs/protocol.md describes it, with ws and eventsource.
import { on } from "node:events";

import { EventSource } from "eventsource";
import WebSocket from "ws";

/**
 * Open a connection. `messages` ends when the connection does, for whatever reason.
 *
 * @param {"websocket" | "sse"} transport
 * @param {string} base URL of the page
 * @param {string | undefined} position continue after this one
 */
export function connect(transport, base, position) {
  return transport === "websocket" ? overWebSocket(base, position) : overSse(base, position);
}

function overWebSocket(base, position) {
  const url = new URL("ws", base.replace(/^http/, "ws"));
  if (position !== undefined) url.searchParams.set("last_event_id", position);
  const socket = new WebSocket(url);
  const frames = on(socket, "message", { close: ["close"] });
  return {
    messages: parsed(frames, (data) => data.toString()),
    send: async (text) => socket.send(text),
    close: () => socket.close(),
  };
}

function overSse(base, position) {
  // A browser's EventSource sends the header when it reconnects by itself; this one reconnects at once.
  const resuming = position === undefined ? {} : { "Last-Event-ID": position };
  const source = new EventSource(new URL("api/sse", base), {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...resuming } }),
  });
  source.addEventListener("error", () => source.close());
  const events = on(source, "message", { close: ["error"] });
  let client;
  return {
    messages: parsed(events, (event) => event.data, (message) => (client ??= message.client)),
    send: (text) => post(new URL(`api/messages?client=${client}`, base), text),
    close: () => source.close(),
  };
}

async function* parsed(arrivals, text, seen = () => {}) {
  for await (const [arrival] of arrivals) {
    const message = JSON.parse(text(arrival));
    seen(message);
    yield message;
  }
}

/** POST a body; throw with the server's line unless it is accepted. */
export async function post(url, body, headers = {}) {
  const response = await fetch(url, { method: "POST", body, headers });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url.pathname}: ${response.status} ${text}`);
  return text;
}
