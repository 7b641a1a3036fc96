// @ts-check
/**
 * Finds, makes and writes elements, and schedules painting.
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
 * Find a part of one side, wherever on the page.
 * @param {ParentNode} root
 * @param {string} side
 * @param {string} name
 * @returns {HTMLElement}
 */
export function sidePart(root, side, name) {
  const element = root.querySelector(`[data-side="${side}"] [data-part="${name}"]`);
  if (!(element instanceof HTMLElement)) throw new Error(`The template has no part ${name} of ${side}`);
  return element;
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
 * Make an element.
 * @param {string} tag
 * @param {string} className
 * @param {...(Node | string)} children
 */
export function make(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/**
 * Write a text if it differs: an unchanged text costs no layout.
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Mark a button as available or not. It keeps the focus, which `disabled` would remove.
 * @param {HTMLElement} button
 * @param {boolean} enabled
 */
export function enable(button, enabled) {
  button.setAttribute("aria-disabled", String(!enabled));
}

/**
 * Act when an available button is pressed.
 * @param {HTMLElement} button
 * @param {() => void} action
 */
export function onPress(button, action) {
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") action();
  });
}

/** Requests to paint within this time share one call. */
const GATHER_MS = 40;

/**
 * Combine requests to paint into one call.
 *
 * Messages that the server sends at once over both transports arrive within a few milliseconds. Painting after the first
 * one delays the second, which counts as its latency: WebSocket looked 5 ms slower than SSE. A hidden page runs no
 * frames, so nothing is painted until the page is shown. Each part has a frame of its own: a message waits only for one.
 * @param {() => Iterator<undefined>} paint paints in parts
 * @param {number} interval least milliseconds between two calls
 * @returns {(soon?: boolean) => void} requests a call; soon, for a new state, skips the interval
 */
export function paintScheduler(paint, interval) {
  let due = Infinity;
  let paintedAt = -Infinity;
  /** The painting that is under way. @type {Iterator<undefined> | null} */
  let parts = null;
  let isWantedAgain = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const run = () => {
    due = Infinity;
    isWantedAgain = parts !== null;
    if (isWantedAgain) return;
    paintedAt = performance.now();
    parts = paint();
    next();
  };
  const next = () => {
    let isDone = true;
    try {
      isDone = parts?.next().done ?? true;
    } finally {
      if (isDone) parts = null;
    }
    if (!isDone) requestAnimationFrame(next);
    else if (isWantedAgain) request(true);
  };
  const request = (soon = false) => {
    const now = performance.now();
    const wait = soon ? GATHER_MS : Math.min(interval, Math.max(GATHER_MS, paintedAt + interval - now));
    if (due <= now + wait) return;
    due = now + wait;
    clearTimeout(timer);
    timer = setTimeout(() => requestAnimationFrame(run), wait);
  };
  return request;
}
