/**
 * Measures contrast as WCAG 2.2 defines it, with the panels made to show a state.
 * @param {[string, string, string]} what the state, and selectors of texts (at least 4.5) and of controls' edges (at least 3)
 */
([state, texts, edges]) => {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const linear = (value) => (value <= 0.04045 * 255 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (color) => {
    const [red, green, blue] = channels(color).map(linear);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const opaque = (color) => (channels(color)[3] ?? 1) === 1;
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return opaque(color) ? color : behind(element.parentElement);
  };

  for (const panel of document.querySelectorAll(".panel")) panel.dataset.state = state;
  const weak = [];
  const judge = (element, color, ground, least) => {
    const found = ratio(color, ground);
    if (!(found >= least)) weak.push(`${element.className || element.tagName}: ${color} on ${ground} is ${found.toFixed(2)}`);
  };
  const elements = [...document.querySelectorAll(texts)];
  for (const element of elements) judge(element, getComputedStyle(element).color, behind(element), 4.5);
  for (const element of document.querySelectorAll(edges)) {
    // What cannot be pressed is exempt.
    if (element.getAttribute("aria-disabled") === "true") continue;
    judge(element, getComputedStyle(element).borderLeftColor, behind(element.parentElement), 3);
  }
  return { texts: elements.length, weak, paper: getComputedStyle(document.documentElement).backgroundColor };
}
