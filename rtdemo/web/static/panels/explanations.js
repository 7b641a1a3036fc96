// @ts-check
/**
 * Explanations of the page's words. CSS shows one on hover; this button shows all of them below their words, for readers
 * without a pointer. Escape hides one that is shown on hover (WCAG 2.2, success criterion 1.4.13).
 * @module panels/explanations
 */
import { part } from "../dom.js";

/** @param {Document} document */
export function startExplanations(document) {
  const root = document.documentElement;
  const button = part(document, "explain");
  button.addEventListener("click", () => {
    const shown = root.dataset.explain !== "all";
    root.dataset.explain = shown ? "all" : "hover";
    button.setAttribute("aria-pressed", String(shown));
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && root.dataset.explain !== "all") root.dataset.explain = "none";
  });
  document.addEventListener("pointermove", () => {
    if (root.dataset.explain === "none") root.dataset.explain = "hover";
  });
}
