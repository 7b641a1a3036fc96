"""Check a page with axe-core, which knows the rules of WCAG that a program can check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page, ViewportSize

AXE = Path(__file__).parents[1] / "node_modules/axe-core/axe.min.js"
"""From npm, locked with the other tools; `make test` installs it."""
WIDE, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
LOOKS: tuple[tuple[Any, ViewportSize], ...] = (("light", WIDE), ("dark", WIDE), ("light", PHONE))
"""Colour schemes and sizes in which every state is checked."""
RUN = """async () => {
    const { violations, passes } = await axe.run({ resultTypes: ["violations"] });
    const line = ({ id, help }, { target, any }) =>
        [id, help, target.join(" "), ...any.map((check) => check.message)].join(" | ");
    const found = violations.flatMap((rule) => rule.nodes.map((node) => line(rule, node)));
    return { found, rules: passes.length };
}"""
MIN_RULES = 20
"""Rules that have something to check on this page; far fewer would mean that axe saw another page."""


async def violations(page: Page) -> list[str]:
    """Return what axe objects to, in each look: the rule, and the element."""
    if not await page.evaluate("'axe' in window"):
        # The page's policy allows no scripts but its own; this way is not the page's.
        await page.evaluate(f"() => {{ {AXE.read_text(encoding='utf-8')} }}")
    found = []
    for scheme, size in LOOKS:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size(size)
        result = await page.evaluate(RUN)
        assert result["rules"] >= MIN_RULES
        found += [f"{scheme}, {size['width']} px: {line}" for line in result["found"]]
    return found
