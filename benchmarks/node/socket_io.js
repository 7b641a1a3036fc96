// Socket.IO on Node, over WebSocket alone, as its documentation shows. Usage: node socket_io.js PORT
const http = require("node:http");
const { Server } = require("socket.io");
const { address, publish, stamp, start } = require("./behaviour");

const site = http.createServer((request, response) =>
  publish(request, response, (message) => sockets.emit("message", message), stamp),
);
const options = { path: "/ws", addTrailingSlash: false, transports: ["websocket"] };
const sockets = new Server(site, { ...options, serveClient: false });

sockets.on("connection", (socket) => {
  const send = (message) => socket.emit("message", message);
  const stop = start("WebSocket", socket.request.url, send, stamp);
  socket.on("message", (text) => send(stamp(`Echo: ${text}`)));
  socket.on("disconnect", stop);
});

site.listen(address);
