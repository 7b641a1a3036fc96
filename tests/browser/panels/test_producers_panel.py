"""The list of producers: what they do, what went wrong, and how it looks then."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from rtdemo.server.reload import Reloader
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.browser.conftest import MARKUP, BrowserErrors, Open, Serve
from tests.browser.contrast import CONTRAST
from tests.browser.modules import run
from tests.browser.panel import Panel
from tests.browser.producers_section import ProducersSection

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOUR = 3600


async def test_the_list(open_page: Open, troubled: Server) -> None:
    """Each producer is listed once, with its plugin, its kind, and when it runs on which side."""
    producers = ProducersSection(await open_page(server=troubled))
    await expect(producers.rows).to_have_count(6)
    await expect(producers.row("status").locator(".receives")).to_have_text(["every 3 s", "every 5 s"])
    await expect(producers.row("steady")).to_contain_text("private, plugin trouble")
    for side in ("websocket", "sse"):
        await expect(producers.switch("message", side)).to_be_checked()
        await expect(producers.switch("welcome", side)).to_be_checked()
    not_there = producers.switch("steady", "sse")
    await expect(not_there).to_have_accessible_name("steady over SSE, WebSocket only")
    await expect(not_there).to_be_disabled()
    await expect(not_there).not_to_be_checked()


async def test_a_failing_producer(
    open_page: Open, troubled: Server, clock: VirtualClock, side: str
) -> None:
    """Its state, its failures and its error are text; the focus shows all of the error."""
    page = await open_page(server=troubled)
    producers = ProducersSection(page)
    await Panel(page, side).connect()
    clock.advance(1)
    await producers.shows("shaky", "backing off")
    await producers.shows("greeting", "failed")
    await producers.shows("steady", "running")
    row = producers.row("shaky")
    await expect(row.locator('[data-part="failures"]')).to_have_text("1")
    error = row.locator('[data-part="error-line"]')
    await expect(error).to_contain_text(f"ValueError: {MARKUP}")
    await expect(error).to_have_accessible_name(re.compile("^Last error of shaky: ValueError"))
    whole = row.locator('[data-part="error-text"]')
    await expect(whole).to_be_hidden()
    await error.focus()
    await page.keyboard.press("Enter")
    await expect(whole).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(whole).to_be_hidden()
    assert await page.locator("img").count() == 0
    assert await page.evaluate("window.injected") is None


async def test_published_name(page: Page, server: Server) -> None:
    """Nothing runs under it: its row has the time of its last message instead."""
    producers = ProducersSection(page)
    await producers.shows("message", "running")
    summary = page.locator('[data-part="producers-summary"]')
    await expect(summary).to_have_text("3 producers, all running")
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{server.web_url}/api/publish", json={"producer": "loss", "value": 1})
        answer.raise_for_status()
    await producers.shows("loss", "published")
    await expect(producers.row("loss")).to_contain_text(
        re.compile(r"shared, last message (\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d)")
    )
    await expect(summary).to_have_text("4 producers, 3 running, 1 published")


async def test_enable(open_page: Open, troubled: Server, clock: VirtualClock) -> None:
    """Disabled after twenty failures, a producer runs again at a key's press; the focus stays near."""
    page = await open_page(server=troubled)
    producers = ProducersSection(page)
    await Panel(page, "sse").connect()
    enable = producers.root.get_by_role("button", name="Enable shaky")
    clock.advance(1)
    await producers.shows("shaky", "backing off")
    await expect(enable).to_be_hidden()
    clock.advance(HOUR)
    await producers.shows("shaky", "disabled")
    await enable.focus()
    await page.keyboard.press("Enter")
    await producers.shows("shaky", "running")
    await expect(enable).to_be_hidden()
    await expect(producers.row("shaky").locator(".condition")).to_be_focused()


async def test_enable_is_refused(
    open_page: Open, serve: Serve, clock: VirtualClock, plugin: Path, browser_errors: BrowserErrors
) -> None:
    """If a token is needed, the page shows the server's own line."""
    server = await serve(clock=clock, files=(plugin,), admin_token="s3cret")
    page = await open_page(server=server)
    producers = ProducersSection(page)
    await Panel(page, "sse").connect()
    clock.advance(HOUR)
    await producers.root.get_by_role("button", name="Enable shaky").click()
    sentence = "shaky was not enabled: the server answered 401. send the admin token"
    await expect(producers.lines).to_contain_text(sentence)
    await producers.shows("shaky", "disabled")
    browser_errors.remove_expected("401")


async def test_reload(open_page: Open, troubled: Server, plugin: Path) -> None:
    """A failed reload is shown above the list until it is fixed; new producers then appear."""
    producers = ProducersSection(await open_page(server=troubled))
    reloader = Reloader(troubled.hub, troubled.discover)
    await expect(producers.rows).to_have_count(6)
    plugin.write_text("\n\ndef broken(:\n")
    reloader.apply([plugin])
    line = re.compile(r"^Plugin trouble: line 3: SyntaxError: .*; the previous version keeps running\.$")
    await expect(producers.lines).to_have_text(line)
    await expect(producers.rows).to_have_count(6)
    plugin.write_text("from rtdemo import producer\n@producer(every=1)\ndef fresh(): return 'x'\n")
    reloader.apply([plugin])
    await expect(producers.row("fresh")).to_be_visible()
    await expect(producers.rows).to_have_count(4)
    await expect(producers.lines).to_contain_text("What each connection receives")


async def test_plugin_that_was_not_loaded(open_page: Open, serve: Serve, tmp_path: Path) -> None:
    """It has no producers: it is named above the list."""
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    producers = ProducersSection(await open_page(server=await serve(files=(broken,))))
    error = "line 1 of broken.py: ZeroDivisionError: division by zero"
    sentence = f"Plugin broken: {error}; it is not loaded."
    await expect(producers.lines).to_have_text(sentence)


async def test_nobody_looks(page: Page) -> None:
    """A hidden page does not ask; shown again, it asks at once, and then every two seconds."""
    await expect(ProducersSection(page).rows).to_have_count(3)
    await page.clock.install()
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        const { fetch } = window;
        window.asked = [];
        window.fetch = (address, ...rest) => {
            window.asked.push(String(address));
            return fetch(address, ...rest);
        };
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await page.evaluate(hide, True)
    await page.clock.run_for(20_000)
    assert not [url for url in await page.evaluate("window.asked") if "api/producers" in url]
    async with page.expect_request("**/api/producers"):
        await page.evaluate(hide, False)


async def test_the_server_is_gone(page: Page, server: Server, browser_errors: BrowserErrors) -> None:
    """The list stays, with a note that it may be outdated."""
    producers = ProducersSection(page)
    await expect(producers.rows).to_have_count(3)
    await server.stop()
    await expect(producers.lines).to_contain_text("This list may be outdated")
    await expect(producers.rows).to_have_count(3)
    browser_errors.remove_expected("ERR_")


@pytest.mark.parametrize("width", [320, 390, 800, 1280])
async def test_trouble_moves_nothing(
    open_page: Open, troubled: Server, clock: VirtualClock, width: int
) -> None:
    """Errors that come move no row, and make no screen scroll sideways, shown whole or not."""
    page = await open_page(server=troubled, viewport={"width": width, "height": 844})
    producers = ProducersSection(page)
    await Panel(page, "sse").connect()
    await expect(producers.rows).to_have_count(6)
    tops = "() => [...document.querySelectorAll('.producers tbody tr')].map((row) => row.offsetTop)"
    before = await page.evaluate(tops)
    clock.advance(HOUR)
    await producers.shows("shaky", "disabled")
    assert await page.evaluate(tops) == before
    for line in await producers.root.locator('[data-part="error-line"]:visible').all():
        await line.click()
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_contrast(open_page: Open, troubled: Server, clock: VirtualClock, scheme: str) -> None:
    """Every text and every control of the list has its contrast, in every state (WCAG 2.2 AA)."""
    page = await open_page(server=troubled, color_scheme=scheme)
    producers = ProducersSection(page)
    await Panel(page, "sse").connect()
    await producers.switch("message", "sse").click()
    clock.advance(1)
    for state in ("backing off", "disabled"):
        await producers.shows("shaky", state)
        texts = ".producers :is(p, th, td, span:not(.dot), label, bdi, button)"
        edges = ".producers :is(.switch, .dot)"
        found = await page.evaluate(CONTRAST, ["connected", texts, edges])
        assert found["texts"] > 50
        assert found["weak"] == []
        clock.advance(HOUR)


@pytest.mark.empty_page
async def test_rate_stops(page: Page) -> None:
    """The slider goes from a tenth to twenty times; other speeds stand at the nearest stop by ratio."""
    body = """
        const stops = m.RATE_STOPS;
        const nearest = ["1", "2.5", "0.01", "1000", "x"].map((speed) => stops[m.nearestStop(speed)]);
        return [stops[0], stops.at(-1), ...nearest];
    """
    assert await run(page, "panels/producers_panel", body) == ["0.1", "20", "1", "3", "0.1", "20", "1"]
