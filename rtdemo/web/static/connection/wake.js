// @ts-check
/**
 * Events of the browser after which a connection should be tried at once, or is known to be closed.
 * @module connection/wake
 */

/**
 * @typedef {object} PageEvents
 * @property {() => void} hurry the network or the page is back: a try may succeed now
 * @property {() => void} offline the browser reports that there is no network
 * @property {() => void} restored the page is back from the back/forward cache, for which the browser closed its connections
 */

/**
 * @param {PageEvents} events
 */
export function watchPage({ hurry, offline, restored }) {
  addEventListener("online", hurry);
  addEventListener("offline", offline);
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) restored();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) hurry();
  });
}
