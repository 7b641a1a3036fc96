// What the reference's WebSocket server does, on ws: a welcome, a message every 2 s, a status every 3 s,
// an echo. Written for the benchmark. `?speed=` divides the intervals. Usage: node reference.js PORT
const { WebSocketServer, WebSocket } = require("ws");

const MESSAGE_MS = 2000;
const STATUS_MS = 3000;
const STATUSES = [
  "Real-time sync active",
  "WebSocket health: Excellent",
  "Low latency confirmed",
  "Bidirectional ready",
  "Connection stable",
  "Data stream flowing",
];

function say(socket, message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ message, sentAt: Date.now() }));
}

const below = (count) => Math.floor(Math.random() * count);
const server = new WebSocketServer({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
server.on("connection", (socket, request) => {
  const speed = Number(new URL(request.url, "ws://localhost").searchParams.get("speed")) || 1;
  say(socket, "WebSocket connection established");
  const timers = [
    setInterval(() => say(socket, `WebSocket Message ${below(1000)}`), MESSAGE_MS / speed),
    setInterval(() => say(socket, STATUSES[below(STATUSES.length)]), STATUS_MS / speed),
  ];
  socket.on("message", (text) => say(socket, `Echo: ${text}`));
  socket.on("close", () => timers.forEach(clearInterval));
  socket.on("error", () => {});
});
