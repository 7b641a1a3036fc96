"""The steps of connecting, by the browser's own record."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_parts_of_connecting(page: Page) -> None:
    """A stream's parts are the browser's own record of it; a WebSocket has none."""
    await expect(Panel(page, "websocket").part("parts")).to_have_text(re.compile("does not record"))
    panel = Panel(page, "sse")
    await panel.connect()
    await expect(panel.part("parts")).to_have_text("known when the stream ends")
    await panel.press("Disconnect")
    await expect(panel.part("parts")).to_have_text(
        re.compile(r"^last stream: DNS \d.* first byte \d[\d,]*(\.\d)? ms$")
    )
