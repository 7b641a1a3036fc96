// What every server here does, as the reference does: a welcome, a message every 2 s, a status every 3 s
// (WebSocket) or 5 s (SSE), and an echo. `?speed=` divides the periods. A client with `?producers=` has
// picked others, and gets only what is published. POST publishes to everyone.
const MESSAGE_MS = 2000;
const STATUS_MS = { WebSocket: 3000, SSE: 5000 };
const STATUSES = {
  WebSocket: [
    "Real-time sync active",
    "WebSocket health: Excellent",
    "Low latency confirmed",
    "Bidirectional ready",
    "Connection stable",
    "Data stream flowing",
  ],
  SSE: [
    "Processing data...",
    "Server load: Normal",
    "Database sync completed",
    "Cache refreshed",
    "Monitoring active",
    "System health: Good",
  ],
};

const below = (count) => Math.floor(Math.random() * count);

// Date.now() has whole milliseconds, in which a 99th percentile below one cannot be seen.
const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000) / 1000;

const stamp = (message) => ({ message, sentAt: now() });
const encode = (message) => JSON.stringify(stamp(message));

// Start a client's messages, each made by `form`; return what stops them.
function start(label, url, send, form = encode) {
  send(form(`${label} connection established`));
  const query = new URL(url, "http://localhost").searchParams;
  if (query.has("producers")) return () => {};
  const speed = Number(query.get("speed")) || 1;
  const texts = STATUSES[label];
  const timers = [
    setInterval(() => send(form(`${label} Message ${below(1000)}`)), MESSAGE_MS / speed),
    setInterval(() => send(form(texts[below(texts.length)])), STATUS_MS[label] / speed),
  ];
  return () => timers.forEach(clearInterval);
}

// Read a POST and pass its message on to everyone, made by `form`.
function publish(request, response, everyone, form = encode) {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    if (body) everyone(form(JSON.parse(body).message));
    response.end("{}");
  });
}

const port = Number(process.argv[2]);
const address = { port, host: "127.0.0.1", backlog: 4096 };

module.exports = { address, encode, publish, stamp, start };
