"""Interarrival jitter."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_jitter_is_that_of_the_rfc(page: Page) -> None:
    """J += (|D| - J) / 16 (RFC 3550 section 6.4.1); a message left out is compared with nothing."""
    latencies = [5.0, 7.0, 4.0, 4.0, 10.0]
    expected = 0.0
    for before, after in pairwise(latencies):
        expected += (abs(after - before) - expected) / 16
    body = f"""
        const jitter = new m.Jitter();
        const first = jitter.value;
        for (const latency of {latencies}) jitter.add(latency);
        const value = jitter.value;
        jitter.interrupt();
        jitter.add(1000);
        return [first, value, jitter.value];
    """
    assert await run(page, "measure/jitter", body) == [
        None,
        pytest.approx(expected),
        pytest.approx(expected),
    ]
