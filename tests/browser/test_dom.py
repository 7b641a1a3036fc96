"""The schedule of painting."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_wishes_to_paint_are_gathered(page: Page) -> None:
    """However often it is asked, the page is painted once, later, and again when asked again."""
    body = """
        let painted = 0;
        let shown = () => {};
        const ask = m.paintScheduler(() => { painted += 1; shown(); }, 0);
        const paint = () => new Promise((resolve) => { shown = resolve; });
        const counts = [];
        for (let round = 0; round < 2; round += 1) {
            for (let i = 0; i < 100; i += 1) ask();
            counts.push(painted);
            await paint();
            await new Promise(requestAnimationFrame);
            counts.push(painted);
        }
        return counts;
    """
    assert await run(page, "dom", body) == [0, 1, 1, 2]
