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
 * @returns {() => void} ends the watch
 */
export function watchPage({ hurry, offline, restored }) {
  const end = new AbortController();
  const { signal } = end;
  addEventListener("online", hurry, { signal });
  addEventListener("offline", offline, { signal });
  addEventListener("pageshow", ({ persisted }) => persisted && restored(), { signal });
  document.addEventListener("visibilitychange", () => document.hidden || hurry(), { signal });
  return () => end.abort();
}
