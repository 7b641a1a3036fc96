// @ts-check
/**
 * A link that opens the page with the settings of now. Pure.
 * @module views/link
 */
import { addressFor, same } from "../connection/selection.js";

/** @typedef {import("../connection/selection.js").Selection} Selection */

/**
 * Write the settings into the page's address; whatever else that had, such as a ticket, is left out.
 * @param {URL | Location} page
 * @param {Selection} websocket
 * @param {Selection} sse
 * @param {number} window seconds that the charts show
 * @returns {{ href: string, whole: boolean }} whole is false where the sides differ: a link has one choice for both
 */
export function settingsLink(page, websocket, sse, window) {
  const url = addressFor(new URL(page.pathname, page.origin), websocket);
  if (window !== 60) url.searchParams.set("window", String(window));
  return { href: url.href, whole: same(websocket, sse) };
}
