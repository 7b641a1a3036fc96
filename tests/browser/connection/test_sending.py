"""Texts to the server and the times of their replies."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import BrowserErrors
from tests.browser.modules import run
from tests.browser.panel import NONE, Panel, answer_websockets

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.empty_page
async def test_exchange(page: Page) -> None:
    """A reply belongs to the oldest equal text; a reply to no text changes nothing."""
    body = """
        const roundTrips = new m.RoundTrips();
        const reply = (message, producer = "echo") => ({ message, producer });
        roundTrips.start("a", 0); roundTrips.start("b", 10); roundTrips.start("a", 20);
        const found = [];
        const arrived = (message, at) => {
            roundTrips.receive(message, at);
            found.push(roundTrips.last);
        };
        arrived(reply("Echo: c"), 1);
        arrived(reply("Echo: a", "chat"), 2);
        arrived(reply("Echo: a"), 5);
        arrived(reply("Echo: a"), 50);
        arrived(reply("Echo: b"), 60);
        for (let i = 0; i < m.MAX_WAITING_TEXTS; i += 1) roundTrips.start("x", 0);
        try { roundTrips.start("one more", 0); } catch (error) { found.push(error.message); }
        return found;
    """
    assert await run(page, "connection/sending", body) == [
        *(None, None, 5, 30, 50),
        "Not sent: 100 texts still wait for a reply.",
    ]


async def test_too_big(page: Page, browser_errors: BrowserErrors) -> None:
    """Over 64 KiB the socket ends with 1009, the POST is refused, and both panels show it."""
    websocket, sse = Panel(page, "websocket"), Panel(page, "sse")
    for panel in (websocket, sse):
        await panel.connect()
        await panel.send_text("x" * (64 * 1024 + 1))
    await websocket.becomes("lost")
    await expect(websocket.sentence).to_contain_text("the limit is 64 KiB. Code 1009.")
    await expect(sse.part("sending")).to_contain_text("Not sent: the server answered 413.")
    await sse.becomes("connected")
    await sse.send_text("short")
    await expect(sse.texts.filter(has_text="Echo: short")).to_have_count(1)
    await expect(sse.part("sending")).to_contain_text("Sent by POST")
    browser_errors.remove_expected("413")


async def test_no_reply(page: Page) -> None:
    """A text without a reply is given up after ten seconds, and no round trip is made up."""
    await answer_websockets(page)
    await page.clock.install()
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    await panel.send_text("hello")
    await expect(panel.part("round-trip-note")).to_have_text("waiting for reply")
    await page.clock.fast_forward(12_000)
    await expect(panel.part("round-trip-note")).to_have_text("no reply in 10 s")
    await expect(panel.part("round-trip")).to_have_text(NONE)


async def test_selection_that_was_not_sent_is_sent_again(page: Page) -> None:
    """Otherwise a POST that fails after Compare leaves the server at 20 times the rate."""
    body = """
        const { SelectionSync } = await import("/static/connection/selection.js");
        const selection = new SelectionSync({ producers: null, speed: "20" });
        selection.opened();
        const sent = [];
        const send = async (text) => {
            sent.push(text);
            if (sent.length === 1) throw new Error("Not sent.");
        };
        const sender = new m.Sender(send, selection, () => {});
        const found = [];
        const retry = async (later) => {
            sender.retrySelection(performance.now() + later);
            await Promise.resolve();
            found.push([sent.length, selection.refusal]);
        };
        selection.choose({ producers: null, speed: "1" });
        await sender.sendSelection();
        await retry(m.RETRY_SELECTION_MS - 1_000);
        await retry(m.RETRY_SELECTION_MS);
        await retry(10 * m.RETRY_SELECTION_MS);
        selection.answered({ producer: "rtdemo", message: '{"producers": null, "speed": 1.0}' });
        return [...found, selection.refusal, sent[0] === sent[1]];
    """
    found = await run(page, "connection/sending", body)
    assert found == [[1, "Not sent."], [2, "Not sent."], [2, "Not sent."], "", True]
