"""Several tabs of one origin: which hold an event stream, and what the seventh shows."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect

from rtdemo.server.server import Server
from tests.browser.modules import run
from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.empty_page
async def test_roll_call(page: Page) -> None:
    """Only tabs that hold a stream answer; one that stops answering, as after a crash, is forgotten."""
    body = """
        const channels = [];
        const channel = () => {
            const own = { onmessage: null, postMessage: (data) => {
                for (const each of channels) if (each !== own) each.onmessage?.({ data });
            } };
            channels.push(own);
            return own;
        };
        let now = 0;
        const tabs = Array.from({ length: 8 }, () => new m.Tabs(channel(), () => now));
        const [asker, ...others] = tabs;
        asker.ask();
        const found = [asker.others];
        for (const tab of others.slice(0, 6)) tab.holdsStream = true;
        asker.ask();
        asker.ask();
        found.push(asker.others, m.streamsExhausted(asker, "h2"));
        const reason = m.streamsExhausted(asker, "http/1.1");
        found.push(reason.startsWith("6 other tabs hold an event stream"));
        channels[1].onmessage = null;
        others[1].holdsStream = false;
        for (let i = 0; i < 4; i += 1) { now += 1000; asker.ask(); }
        found.push(asker.others, m.streamsExhausted(asker, "http/1.1"));
        channels[0].onmessage({ data: null });
        channels[0].onmessage({ data: { holder: 7 } });
        for (let i = 0; i < 200; i += 1) channels[0].onmessage({ data: { holder: `x${i}` } });
        found.push(asker.others);
        return found;
    """
    assert await run(page, "connection/tabs", body) == [0, 6, None, True, 4, None, 50]


async def test_the_seventh_tab(browser: Browser, server: Server) -> None:
    """With six streams in other tabs the seventh shows that, and connects when one closes."""
    context = await browser.new_context()
    try:
        pages = [await context.new_page() for _ in range(7)]
        await asyncio.gather(*(page.goto(server.web_url) for page in pages))
        panels = [Panel(page, "sse") for page in pages]
        for panel in panels[:6]:
            await panel.connect()
        last = panels[6]
        await last.press("Connect")
        await expect(last.sentence).to_contain_text("6 other tabs hold an event stream of this origin")
        await expect(last.sentence).to_contain_text("Close one of them")
        await pages[0].close()
        await last.becomes("connected")
    finally:
        await context.close()
