"""The chart of latency over time."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_the_scale_fits_what_is_shown(page: Page) -> None:
    """Its top is that of the samples between two moments, also where these are past."""
    body = """
        const { Ring } = await import("/static/measure/ring.js");
        const ring = new Ring(9);
        [5, 900, 20, 7].forEach((latency, at) => ring.push(at, latency, 0, 1, 0, 0));
        return [[0, 9], [2, 9], [0, 1], [3, 3]].map(([from, to]) => m.largestLatency(ring, from, to));
    """
    assert await run(page, "panels/strip_chart", body) == [900, 20, 5, 0]
