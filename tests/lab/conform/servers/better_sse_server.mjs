// better-sse on node:http.
import { createServer } from "node:http";

import { createSession } from "better-sse";

const server = createServer(async (request, response) => {
  if (new URL(request.url, "http://localhost").pathname !== "/events") {
    response.writeHead(404).end();
    return;
  }
  const session = await createSession(request, response);
  let number = 0;
  const timer = setInterval(() => session.push(`tick ${number++}`), 100);
  session.once("disconnected", () => clearInterval(timer));
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
