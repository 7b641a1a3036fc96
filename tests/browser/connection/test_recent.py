"""The last messages of one side."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_recent_is_bounded(page: Page) -> None:
    """Memory holds ten messages, the newest first, however many came."""
    body = """
        const recent = new m.RecentMessages();
        for (let i = 0; i < 100; i += 1) recent.add(i);
        return recent.messages;
    """
    assert await run(page, "connection/recent", body) == [99, 98, 97, 96, 95, 94, 93, 92, 91, 90]
