// The `ws` library, as its documentation shows, without compression. Usage: node ws.js PORT
const http = require("node:http");
const { WebSocketServer, WebSocket } = require("ws");
const { address, encode, publish, start } = require("./behaviour");

const site = http.createServer((request, response) => publish(request, response, everyone));
const sockets = new WebSocketServer({ server: site, perMessageDeflate: false });

function everyone(text) {
  sockets.clients.forEach((client) => {
    if (client.readyState === WebSocket.OPEN) client.send(text);
  });
}

sockets.on("connection", (socket, request) => {
  const send = (text) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(text);
  };
  const stop = start("WebSocket", request.url, send);
  socket.on("message", (text) => send(encode(`Echo: ${text}`)));
  socket.on("close", stop);
  socket.on("error", () => {});
});

site.listen(address);
