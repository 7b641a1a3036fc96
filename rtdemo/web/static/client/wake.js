// @ts-check
/**
 * Events of the browser after which a connection should be tried at once, or is known to be closed.
 * @module client/wake
 */

/**
 * @param {() => void} hurry called when the network or the page is back: a try may succeed now
 * @param {() => void} restored called when the page is back from the back/forward cache, for which the browser closed its
 *   connections
 * @returns {() => void} ends the watch
 */
export function watchPage(hurry, restored) {
  const end = new AbortController();
  const { signal } = end;
  addEventListener("online", hurry, { signal });
  addEventListener("pageshow", ({ persisted }) => persisted && restored(), { signal });
  document.addEventListener("visibilitychange", () => document.hidden || hurry(), { signal });
  return () => end.abort();
}
