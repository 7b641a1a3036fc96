"""Spans of faults and interruptions."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_spans_until_a_moment(page: Page) -> None:
    """What ended later still lasted then, and what began later is not known."""
    body = """
        const spans = new m.Spans();
        for (const [kind, from, to] of [["cut", 1, 2], ["away", 3, 8], ["hidden", 9, 10]]) {
            spans.open(kind, from);
            spans.close(kind, to);
        }
        return spans.until(5);
    """
    assert await run(page, "measure/spans", body) == [
        {"kind": "cut", "from": 1, "to": 2},
        {"kind": "away", "from": 3, "to": None},
    ]
