// Event streams with node:http alone. Usage: node http_sse.js PORT
const http = require("node:http");
const { address, publish, start } = require("./behaviour");

const streams = new Set();

function everyone(text) {
  for (const stream of streams) stream.write(`data: ${text}\n\n`);
}

const site = http.createServer((request, response) => {
  if (request.method === "POST") return publish(request, response, everyone);
  response.writeHead(200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    Connection: "keep-alive",
  });
  const stop = start("SSE", request.url, (text) => response.write(`data: ${text}\n\n`));
  streams.add(response);
  response.on("close", () => {
    streams.delete(response);
    stop();
  });
});

site.listen(address);
