// @ts-check
/**
 * What the server sends: one JSON object a message, the same over both transports.
 * @module message
 */

/**
 * @typedef {object} Message
 * @property {string} message the text
 * @property {number} sentAt milliseconds since the epoch, by the server's clock
 * @property {string} producer who made it; empty where the server names none
 * @property {number | null} seq counts the producer's messages from 1
 * @property {string | null} id the position in the log; only a shared message has one
 * @property {boolean} lost whether messages before it are lost; only `resume` says so
 * @property {string | null} client this connection's id; only the welcome has one
 */

/**
 * Read a message.
 * @param {unknown} data what the transport handed over
 * @returns {Message | null} null where it is no message
 */
export function parse(data) {
  const object = decode(data);
  if (object === null) return null;
  const { message, sentAt, producer, seq, id, lost, client } = object;
  if (typeof message !== "string" || typeof sentAt !== "number") return null;
  return {
    message,
    sentAt,
    producer: typeof producer === "string" ? producer : "",
    seq: typeof seq === "number" && Number.isSafeInteger(seq) ? seq : null,
    id: typeof id === "string" ? id : null,
    lost: lost === true,
    client: typeof client === "string" ? client : null,
  };
}

/**
 * @param {unknown} data
 * @returns {Record<string, unknown> | null}
 */
function decode(data) {
  if (typeof data !== "string") return null;
  try {
    const value = JSON.parse(data);
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
