"""Outages after which the page has to be back by itself, on both sides, with nothing lost or twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.axe import violations
from tests.browser.charts import HIDE
from tests.browser.conftest import Open
from tests.browser.engines.chromium import Chromium
from tests.browser.outages import NOTHING_LOST, OUTAGES, back, place
from tests.browser.panel import Panel, both

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("name", ["server stopped", "reset and refused", "half open", "browser offline"])
async def test_outage_ends(chromium: Chromium, tmp_path: Path, name: str) -> None:
    """It lasts until the page has noticed it, on both sides."""
    outage = OUTAGES[name]
    async with place(chromium, tmp_path) as found:
        await outage.begin(found)
        for panel in both(chromium.page):
            await panel.becomes("reconnecting")
        before = await found.counts()
        await outage.end(found)
        await back(found, before)
        for panel in both(chromium.page):
            await panel.becomes("connected")
            await panel.received((await found.counts())[panel.side] + 1)
            await expect(panel.part("lost")).to_have_text(NOTHING_LOST)
            await expect(panel.part("reconnects")).to_have_text("1")


async def test_half_open_path_is_stalled_first(chromium: Chromium, tmp_path: Path) -> None:
    """After the first missing heartbeat the page says so, and no longer suspects the producers."""
    async with place(chromium, tmp_path) as found:
        for panel in both(chromium.page):
            await panel.watch()
        await OUTAGES["half open"].begin(found)
        for panel in both(chromium.page):
            # For two seconds, until the next one is missing.
            await panel.has_shown("stalled", "not even a heartbeat.")
            await panel.has_shown("stalled", "It reconnects if the next one is missing too.")
        assert await violations(chromium.page) == []


async def test_offline_browser_is_named(chromium: Chromium, tmp_path: Path) -> None:
    """The network of the reader's own machine is the cause, and not the server."""
    async with place(chromium, tmp_path) as found:
        await OUTAGES["browser offline"].begin(found)
        for panel in both(chromium.page):
            await panel.becomes("reconnecting")
            await expect(panel.sentence).to_contain_text("The browser is offline.")


async def test_hidden_tab_has_the_outage_in_its_title(chromium: Chromium, tmp_path: Path) -> None:
    """The browser paints no frame of it, but shows its title."""
    async with place(chromium, tmp_path) as found:
        await chromium.page.evaluate("() => { window.requestAnimationFrame = () => 0; }")
        await chromium.page.evaluate(HIDE, True)
        await OUTAGES["reset and refused"].begin(found)
        await expect(chromium.page).to_have_title(re.compile("^\N{WARNING SIGN} Server unreachable"))


async def test_page_from_the_back_forward_cache_reconnects(open_page: Open, side: str) -> None:
    """The browser has closed its connections, and need not report it."""
    panel = Panel(await open_page(), side)
    await panel.connect()
    await panel.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: false }))")
    await panel.received(2)
    await expect(panel.part("reconnects")).to_have_text("0")
    await panel.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    await expect(panel.part("reconnects")).to_have_text("1")
    await panel.becomes("connected")
