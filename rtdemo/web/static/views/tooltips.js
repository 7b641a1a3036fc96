// @ts-check
/**
 * Tooltips. CSS shows them on hover and focus. Escape hides them until the pointer or the focus moves (WCAG 2.2, success
 * criterion 1.4.13).
 * @module views/tooltips
 */

/** @param {Document} document */
export function startTooltips(document) {
  const root = document.documentElement;
  const allow = () => root.removeAttribute("data-tooltips");
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") root.dataset.tooltips = "away";
  });
  document.addEventListener("pointermove", allow);
  document.addEventListener("focusin", allow);
}
