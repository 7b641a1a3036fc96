// @ts-check
/**
 * Parses messages: one JSON object each, the same over both transports.
 * @module message
 */

/**
 * @typedef {object} Message
 * @property {string} message its text
 * @property {number} sentAt milliseconds since the epoch, by the server's clock
 * @property {string} producer its name; empty if the server gives none
 * @property {number | null} seq sequence number of the producer, from 1
 * @property {string | null} id position in the log; only for a shared message
 * @property {boolean} lost whether messages before it are lost; only from the producer `resume`
 * @property {boolean} truncated whether the past that begins with it is cut; only where the client asked for a past
 * @property {string | null} client this connection's id; only in the welcome
 * @property {unknown} [value] any JSON; only where the producer sent something other than text
 */

/**
 * Parse a message.
 * @param {unknown} data as the transport received it
 * @returns {Message | null} null if it is no message
 */
export function parse(data) {
  let object;
  try {
    object = JSON.parse(String(data));
  } catch {
    return null;
  }
  const { message, sentAt, producer, seq, id, lost, truncated, client } = Object(object);
  if (typeof message !== "string" || typeof sentAt !== "number") return null;
  /** @type {Message} */
  const parsed = {
    message,
    sentAt,
    producer: textOf(producer) ?? "",
    seq: Number.isSafeInteger(seq) ? seq : null,
    id: textOf(id),
    lost: lost === true,
    truncated: truncated === true,
    client: textOf(client),
  };
  if ("value" in object) parsed.value = object.value;
  return parsed;
}

/** @param {unknown} value */
function textOf(value) {
  return typeof value === "string" ? value : null;
}

/** Beginning of a heartbeat's text. */
const HEARTBEAT = '{"heartbeat":';

/**
 * Return whether a message is the server's heartbeat in silence, which no figure counts.
 * @param {Message} message
 */
export function isHeartbeat({ producer, message, seq }) {
  return producer === "rtdemo" && seq === null && message.startsWith(HEARTBEAT);
}
