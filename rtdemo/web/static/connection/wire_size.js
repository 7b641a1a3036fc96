// @ts-check
/**
 * Counts the bytes of a message on the wire, with its framing, as the server writes it. Pure.
 * @module connection/wire_size
 */

/**
 * Count the bytes of a text in UTF-8 without encoding it.
 * @param {string} text
 */
export function utf8Length(text) {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // Two bytes up to U+07FF, three up to U+FFFF, and four for a surrogate pair, which is two units.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/**
 * Count the bytes of a WebSocket frame: the header has 2 bytes up to 125, 4 up to 65,535 and 10 beyond. A server does
 * not mask (RFC 6455, section 5.2).
 * @param {number} payload bytes of JSON
 */
export function websocketBytes(payload) {
  if (payload < 126) return payload + 2;
  return payload + (payload < 65_536 ? 4 : 10);
}

/** Bytes of an HTTP/2 DATA frame's header (RFC 9113, section 4.1); HTTP/3 needs fewer. */
const DATA_FRAME_BYTES = 9;

/**
 * Count the bytes of an event (WHATWG HTML, section 9.2.6) as one chunk of an HTTP/1.1 body (RFC 9112, section 7.1), or
 * as one DATA frame of HTTP/2.
 * @param {number} payload bytes of JSON
 * @param {string | null} id the message's position, which is the event's id
 * @param {string} protocol as Resource Timing names it, such as http/1.1 or h2
 */
export function sseBytes(payload, id, protocol) {
  const event = payload + "data: \n\n".length + (id === null ? 0 : "id: \n".length + utf8Length(id));
  if (protocol === "http/1.0") return event;
  if (protocol.startsWith("h2") || protocol.startsWith("h3")) return event + DATA_FRAME_BYTES;
  return event + event.toString(16).length + "\r\n\r\n".length;
}
