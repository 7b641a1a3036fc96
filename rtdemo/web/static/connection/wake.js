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
 * @param {AbortSignal} signal ends the watch
 */
export function watchPage({ hurry, offline, restored }, signal) {
  const options = { signal };
  const shown = (/** @type {PageTransitionEvent} */ { persisted }) => {
    if (persisted) restored();
  };
  const changed = () => {
    if (!document.hidden) hurry();
  };
  addEventListener("online", hurry, options);
  addEventListener("offline", offline, options);
  addEventListener("pageshow", shown, options);
  document.addEventListener("visibilitychange", changed, options);
}
