"""How the page reaches the browser: in few requests, from the cache the next time, and isolated."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import FOREIGN_NAME, BrowserErrors, Open, Serve
from tests.browser.panel import Panel
from tests.certificate import self_signed

pytestmark = pytest.mark.asyncio(loop_scope="session")

OBSERVE = """
    window.loads = [];
    new PerformanceObserver((list) => window.loads.push(...list.getEntries()))
        .observe({ type: "resource" });
"""
LOADS = """() => window.loads
    .filter(({ name }) => new URL(name).pathname.startsWith("/static/"))
    .map(({ name, transferSize }) => [new URL(name).pathname.split("/").pop(), transferSize])"""
DOCUMENT = """() => {
    const { transferSize, encodedBodySize } = performance.getEntriesByType("navigation")[0];
    return [transferSize, encodedBodySize];
}"""


async def test_next_visit_asks_only_whether_the_document_is_the_same(page: Page) -> None:
    """It is one document, one script and one style. The latter two are taken from the cache."""
    url = page.url
    await page.add_init_script(OBSERVE)
    await page.goto("about:blank")
    await page.goto(url)
    await expect(page.locator(".sentence").first).not_to_be_empty()
    await page.wait_for_function("() => window.loads.length >= 2")
    loads = [load for load in await page.evaluate(LOADS) if load[0] != "icon.svg"]
    assert sorted(loads) == [["joined.css", 0], ["joined.js", 0]]
    sent, whole = await page.evaluate(DOCUMENT)
    assert sent < 1000 < whole


async def test_page_is_isolated_where_the_browser_trusts_its_origin(
    page: Page, open_page: Open, serve: Serve, tmp_path: Path
) -> None:
    """On loopback and by TLS its timers tick in 5 µs, and both transports connect as before."""
    made = self_signed(tmp_path)
    by_tls = await serve(tls_cert=str(made.certificate), tls_key=str(made.key))
    for isolated in (page, await open_page(server=by_tls, ignore_https_errors=True)):
        assert await isolated.evaluate("crossOriginIsolated") is True
        for side in ("websocket", "sse"):
            await Panel(isolated, side).connect()


async def test_page_at_a_plain_http_address_is_not_isolated_and_reports_no_error(
    open_page: Open, serve: Serve, browser_errors: BrowserErrors
) -> None:
    """There browsers ignore the headers of isolation, and Chromium reports an error for each."""
    server = await serve(host="", websocket_host="")
    page = await open_page(server=server)
    assert await page.evaluate("[crossOriginIsolated, isSecureContext]") == [True, True]
    await page.goto(f"http://{FOREIGN_NAME}:{urlsplit(server.web_url).port}/")
    await Panel(page, "sse").connect()
    assert await page.evaluate("[crossOriginIsolated, isSecureContext]") == [False, False]
    assert browser_errors == []
