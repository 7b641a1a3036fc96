// node:http without a library.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  if (new URL(request.url, "http://localhost").pathname !== "/events") {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  let number = 0;
  const timer = setInterval(() => response.write(`data: tick ${number++}\n\n`), 100);
  response.on("close", () => clearInterval(timer));
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
