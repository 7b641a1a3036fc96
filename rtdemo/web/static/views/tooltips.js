// @ts-check
/**
 * Explanations of figures. CSS shows them on hover and on focus; this lets Escape put them away until the pointer or the
 * focus moves on, as success criterion 1.4.13 of WCAG 2.2 asks.
 * @module views/tooltips
 */

/** @param {Document} document */
export function startTooltips(document) {
  const root = document.documentElement;
  const back = () => root.removeAttribute("data-tooltips");
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") root.dataset.tooltips = "away";
  });
  document.addEventListener("pointerover", back);
  document.addEventListener("focusin", back);
}
