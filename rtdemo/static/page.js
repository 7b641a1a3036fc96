// @ts-check
/**
 * Finding and writing parts of the page.
 * @module page
 */

/**
 * Find the element that the template marks with data-part.
 * @param {ParentNode} root
 * @param {string} name
 * @returns {HTMLElement}
 */
export function part(root, name) {
  const element = root.querySelector(`[data-part="${name}"]`);
  if (!(element instanceof HTMLElement)) throw new Error(`The template has no part ${name}`);
  return element;
}

/**
 * Write a text where it differs; what stays the same costs no layout.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Gather wishes to paint into one call a frame. The browser runs no frames while the page is hidden, so nothing is
 * painted then, and the first frame after shows the latest.
 * @param {() => void} paint
 * @returns {() => void} asks for a call
 */
export function oncePerFrame(paint) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      paint();
    });
  };
}
