// @ts-check
/**
 * Typed arrays as texts: base64 of their bytes. Pure.
 * @module measure/typed_text
 */

/** @typedef {Float64Array | Float32Array | Uint32Array | Uint8Array} Numbers */

const TYPES = { Float64Array, Float32Array, Uint32Array, Uint8Array };

/** Bytes that one call turns into characters. */
const CHUNK = 8_192;

/**
 * @param {Record<string, Numbers>} arrays
 * @returns {Record<string, { type: string, text: string }>}
 */
export function encodeArrays(arrays) {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, array]) => [name, { type: array.constructor.name, text: encode(array) }]),
  );
}

/**
 * @param {Record<string, { type: keyof typeof TYPES, text: string }>} texts
 * @returns {Record<string, Numbers>}
 */
export function decodeArrays(texts) {
  return Object.fromEntries(
    Object.entries(texts).map(([name, { type, text }]) => [name, new TYPES[type](decode(text).buffer)]),
  );
}

/** @param {Numbers} array */
function encode(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const parts = [];
  for (let start = 0; start < bytes.length; start += CHUNK) {
    parts.push(String.fromCharCode(...bytes.subarray(start, start + CHUNK)));
  }
  return btoa(parts.join(""));
}

/** @param {string} text */
function decode(text) {
  const characters = atob(text);
  return Uint8Array.from({ length: characters.length }, (_, index) => characters.charCodeAt(index));
}
