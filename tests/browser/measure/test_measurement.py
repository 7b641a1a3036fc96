"""Counts and averages of one side."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_mean_and_reset(page: Page) -> None:
    """The mean is that of what was added, and Reset forgets it all."""
    body = """
        const { completeness } = await import("/static/measure/ledger.js");
        const stats = new m.Stats();
        const message = { message: "", sentAt: 0, producer: "p", seq: 4, id: null, client: null };
        stats.record(message, { value: 1, error: 0.2 });
        stats.record({ ...message, seq: 5 }, { value: 3, error: 0.4 });
        stats.record({ ...message, seq: null }, null);
        const before = [stats.received, stats.latency.value, stats.error.value, completeness(stats)];
        stats.reset();
        stats.record({ ...message, seq: 6 }, null);
        return [...before, stats.received, stats.latency.value, completeness(stats)];
    """
    found = await run(page, "measure/measurement", body)
    assert found == [3, 2, pytest.approx(0.3), "3 lost", 1, None, "none missing"]
