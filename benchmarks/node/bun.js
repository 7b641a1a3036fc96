// Bun's own WebSocket server, as its documentation shows. Usage: bun bun.js PORT
const { address, encode, start } = require("./behaviour");

const EVERYONE = "everyone";

Bun.serve({
  port: address.port,
  hostname: address.host,
  async fetch(request, server) {
    if (request.method === "POST") {
      server.publish(EVERYONE, encode((await request.json()).message));
      return new Response("{}");
    }
    if (!server.upgrade(request, { data: { url: request.url } })) {
      return new Response("not a WebSocket", { status: 426 });
    }
  },
  websocket: {
    open(socket) {
      socket.subscribe(EVERYONE);
      socket.data.stop = start("WebSocket", socket.data.url, (text) => socket.send(text));
    },
    message(socket, text) {
      socket.send(encode(`Echo: ${text}`));
    },
    close(socket) {
      socket.data.stop();
    },
  },
});
