// @ts-check
/**
 * What a connection asks for: which producers, and how fast. Pure: an address, a control message, a comparison.
 * @module connection/selection
 */

/**
 * @typedef {object} Selection
 * @property {string[] | null} producers the names that were picked; null picks all
 * @property {string} speed multiplies the rate of private producers; as text, so that the server judges what was given
 */

/**
 * Take the page's own choice from its address.
 * @param {string} search location.search
 * @returns {Selection}
 */
export function selectionFrom(search) {
  const given = new URLSearchParams(search);
  const names = given.get("producers");
  return { producers: names === null ? null : names.split(",").filter(Boolean), speed: given.get("speed") ?? "1" };
}

/**
 * Write a selection into an address, as every connection understands it: ?producers= and ?speed=.
 * @param {URL} url
 * @param {Selection} selection
 * @returns {URL}
 */
export function addressFor(url, { producers, speed }) {
  const address = new URL(url);
  if (producers !== null) address.searchParams.set("producers", producers.join(","));
  if (speed !== "1") address.searchParams.set("speed", speed);
  return address;
}

/**
 * Write a selection as the control message that an open connection takes. It always says all of it: what does not
 * change goes on without a break.
 * @param {Selection} selection
 */
export function command({ producers, speed }) {
  return JSON.stringify({ rtdemo: { producers, speed: Number(speed) } });
}

/**
 * Read the answer to a control message.
 * @param {string} text
 * @returns {Selection | string | null} what the connection receives from now on, why nothing changed, or neither
 */
export function readAnswer(text) {
  try {
    const { producers, speed, error } = JSON.parse(text);
    if (typeof error === "string") return error;
    if (typeof speed !== "number" || (producers !== null && !Array.isArray(producers))) return null;
    return { producers, speed: String(speed) };
  } catch {
    return null;
  }
}

/**
 * @param {Selection} one
 * @param {Selection} other
 */
export function same(one, other) {
  return sameSpeed(one.speed, other.speed) && sameProducers(one, other);
}

/**
 * What is no number, and so refused, is alike as text.
 * @param {string} one
 * @param {string} other
 */
export function sameSpeed(one, other) {
  return one === other || Number(one) === Number(other);
}

/**
 * @param {Selection} one
 * @param {Selection} other
 */
export function sameProducers({ producers: one }, { producers: other }) {
  if (one === null || other === null) return one === other;
  return one.length === other.length && one.every((name) => other.includes(name));
}

/**
 * Switch one producer on or off.
 * @param {Selection} selection
 * @param {string} name
 * @param {boolean} on
 * @param {string[]} known the names that can be switched
 * @returns {Selection} all of them on is no pick, so that producers still to come are received too
 */
export function switched({ producers, speed }, name, on, known) {
  const picked = known.filter((each) => (each === name ? on : (producers?.includes(each) ?? true)));
  return { producers: picked.length === known.length ? null : picked, speed };
}
