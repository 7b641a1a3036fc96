"""Open the view, and publish values to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from rtdemo.server.server import Server
from tests.browser.conftest import Open

Publish = Callable[..., Awaitable[None]]
OpenView = Callable[..., Awaitable[Page]]


@pytest.fixture
def publish(server: Server) -> Publish:
    """Publish values under a name, in their order."""

    async def published(producer: str, *values: Any, server: Server = server) -> None:
        messages = [{"producer": producer, "value": value} for value in values]
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{server.web_url}/api/publish", json=messages)
            answer.raise_for_status()

    return published


async def is_live(page: Page) -> None:
    """Wait until the view is connected."""
    await expect(page.locator('[data-part="status"]')).to_have_attribute("data-state", "live")


@pytest.fixture
def open_view(open_page: Open) -> OpenView:
    """Open the view, and wait until it is live."""

    async def opened(query: str = "", *, live: bool = True, **options: Any) -> Page:
        page = await open_page(
            f"/view{query}", sentence='[data-part="sentence"]', folded=True, **options
        )
        if live:
            await is_live(page)
        return page

    return opened
