"""The ring buffer of samples."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_the_ring_is_bounded(page: Page) -> None:
    """It holds so many samples and no more, the oldest first, and finds a moment among them."""
    body = """
        const ring = new m.Ring(4);
        for (let i = 1; i <= 6; i += 1) ring.push(i * 10, i, 0, i, 0, 0);
        const ats = Array.from({ length: ring.length }, (_, index) => ring.at[ring.slot(index)]);
        const since = [0, 30, 31, 60, 61].map((at) => ring.since(at));
        const lengths = [ring.at.length, new m.Ring().at.length];
        ring.clear();
        return [ats, since, lengths, ring.length, ring.since(0)];
    """
    assert await run(page, "measure/ring", body) == [
        [30, 40, 50, 60],
        [0, 0, 1, 3, 4],
        [4, 131_072],
        0,
        0,
    ]
