// better-sse on node:http. createSession throws if Host is no valid name, and the error must be caught.
import { createServer } from "node:http";

import { createSession } from "better-sse";

async function serve(request, response) {
  if (new URL(request.url, "http://localhost").pathname !== "/events") {
    response.writeHead(404).end();
    return;
  }
  const session = await createSession(request, response);
  let number = 0;
  const timer = setInterval(() => session.push(`tick ${number++}`), 100);
  session.once("disconnected", () => clearInterval(timer));
}

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.writeHead(400).end());
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
