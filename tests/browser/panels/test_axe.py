"""axe-core finds nothing in any state of the page: light, dark, and on a phone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from rtdemo.server.server import Server
from tests.browser.axe import violations
from tests.browser.conftest import UNFOLD, BrowserErrors, Open, Serve
from tests.browser.engines.chromium import Chromium
from tests.browser.outages import OUTAGES, place
from tests.browser.panel import Panel, both
from tests.web.login_tokens import SECRET

pytestmark = pytest.mark.asyncio(loop_scope="session")


UNFOLD_ALL = UNFOLD.replace("main > details", "details:not([hidden])")
"""Also the errors of producers."""


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(serve: Serve) -> Server:
    """Serve with a login."""
    return await serve(secret=SECRET)


async def test_axe_knows_a_violation(page: Page) -> None:
    """An image without a text is one, so the other tests do see what they look for."""
    await page.evaluate("document.querySelector('main').append(new Image())")
    assert any("image-alt" in line for line in await violations(page))


async def test_first_visit(open_page: Open, troubled: Server) -> None:
    """Folded; then with all details and explanations, and with producers that fail."""
    page = await open_page(server=troubled, folded=True)
    assert await violations(page) == []
    await page.get_by_role("button", name="Explain the words").click()
    await page.evaluate(UNFOLD_ALL)
    assert await violations(page) == []


async def test_login_form(open_page: Open, guarded: Server, browser_errors: BrowserErrors) -> None:
    """While it asks for a token."""
    page = await open_page(server=guarded)
    await expect(page.locator('[data-part="login-state"]')).to_have_text(
        "This server needs a login token."
    )
    assert await violations(page) == []
    browser_errors.remove_expected("401")


async def test_comparison(open_page: Open, server: Server) -> None:
    """While it connects, and while it measures; the verdict is in compare/test_quick_comparison.py."""
    page = await open_page("/?producers=message")
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    await page.route("**/api/sse*", hold)
    await page.get_by_role("button", name="Compare").click()
    await Panel(page, "sse").becomes("connecting")
    assert await violations(page) == []
    for route in held:
        await route.continue_()
    sentence = page.locator('[data-part="verdict-sentence"]')
    await expect(sentence).to_have_text(re.compile(r"^Measuring: \d of 10 s…$"))
    assert await violations(page) == []


async def test_outage(chromium: Chromium, tmp_path: Path) -> None:
    """While it reconnects; a stalled one is in connection/test_healing.py."""
    async with place(chromium, tmp_path) as found:
        await chromium.page.evaluate(UNFOLD)
        await OUTAGES["reset and refused"].begin(found)
        for panel in both(chromium.page):
            await panel.becomes("reconnecting")
        assert await violations(chromium.page) == []


async def test_ends(open_page: Open, browser_errors: BrowserErrors) -> None:
    """A side that was refused, and one whose connection ended for good."""
    page = await open_page()
    await page.route("**/api/sse*", lambda route: route.fulfill(status=503, body="draining"))
    websocket, sse = Panel(page, "websocket"), Panel(page, "sse")
    await websocket.connect()
    await websocket.send_text("x" * (64 * 1024 + 1))
    await websocket.becomes("lost")
    await sse.press("Connect")
    await sse.becomes("refused")
    assert await violations(page) == []
    browser_errors.remove_expected("503")
