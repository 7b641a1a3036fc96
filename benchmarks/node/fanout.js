// One message to everyone, as the documentation of ws shows it; published by POST, one a request.
const http = require("node:http");
const { WebSocketServer, WebSocket } = require("ws");

const site = http.createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    const { message, producer } = JSON.parse(body || "{}");
    if (message !== undefined) publish(message, producer);
    response.end("{}");
  });
});
const sockets = new WebSocketServer({ server: site, perMessageDeflate: false });
let offset = 0;

function publish(message, producer) {
  offset += 1;
  const id = `0123456789abcdef-${offset}`;
  const text = JSON.stringify({ message, sentAt: Date.now(), producer, seq: offset, id });
  sockets.clients.forEach((client) => {
    if (client.readyState === WebSocket.OPEN) client.send(text);
  });
}

sockets.on("connection", (socket) => socket.on("error", () => {}));
site.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
