// @ts-check
/**
 * The addresses of a server, from the URL that a user gives. Pure.
 * @module client/address
 */

/** @typedef {import("./link.js").TransportName} TransportName */

/**
 * @typedef {object} Server
 * @property {string | null} base URL of the server; null for one stream of any server
 * @property {Partial<Record<TransportName, string>>} streams URL of each transport that it has
 */

/**
 * Return the addresses of a server. http://host/ is an rtdemo server, and so is http://host/path/ with a slash at the end.
 * @param {URL} url
 * @returns {Server}
 */
export function serverAt(url) {
  if (url.protocol.startsWith("ws")) return { base: null, streams: { websocket: url.href } };
  if (!url.pathname.endsWith("/") || url.search !== "") return { base: null, streams: { sse: url.href } };
  const websocket = new URL("ws", url);
  websocket.protocol = url.protocol.replace("http", "ws");
  return { base: url.href, streams: { websocket: websocket.href, sse: new URL("api/sse", url).href } };
}
