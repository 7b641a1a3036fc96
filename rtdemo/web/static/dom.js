// @ts-check
/**
 * Finding and writing parts of the page.
 * @module dom
 */

/**
 * Find the element that the template marks with data-part.
 * @param {ParentNode} root
 * @param {string} name
 * @returns {HTMLElement}
 */
export function part(root, name) {
  return partOfType(root, name, HTMLElement);
}

/**
 * Find the element of one type, such as HTMLInputElement, that the template marks with data-part.
 * @template {HTMLElement} T
 * @param {ParentNode} root
 * @param {string} name
 * @param {new () => T} type
 * @returns {T}
 */
export function partOfType(root, name, type) {
  const element = root.querySelector(`[data-part="${name}"]`);
  if (!(element instanceof type)) throw new Error(`The template has no ${type.name} named ${name}`);
  return element;
}

/**
 * Write a text where it differs; what stays the same costs no layout.
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** How long a wish to paint waits for others. */
const GATHER_MS = 40;

/**
 * Gather wishes to paint into one call.
 *
 * What the server sends at one moment over both transports arrives within a few milliseconds. Painting after the first
 * message would hold up the second, and so count as its latency: it made WebSocket look 5 ms slower than SSE. While the
 * page is hidden the browser runs no frames, so nothing is painted, and the first frame after shows the latest.
 * @param {() => void} paint
 * @param {number} pace least milliseconds between two calls
 * @returns {(soon?: boolean) => void} asks for a call; soon, as for a new state, it does not wait for its pace
 */
export function gathered(paint, pace) {
  let due = Infinity;
  let painted = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const run = () => {
    due = Infinity;
    painted = performance.now();
    paint();
  };
  return (soon = false) => {
    const now = performance.now();
    const wait = soon ? GATHER_MS : Math.min(pace, Math.max(GATHER_MS, painted + pace - now));
    if (due <= now + wait) return;
    due = now + wait;
    clearTimeout(timer);
    timer = setTimeout(() => requestAnimationFrame(run), wait);
  };
}
