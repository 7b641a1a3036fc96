"""Connections on which the server's heartbeats arrive, and no messages."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.modules import run
from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")

SILENT = re.compile(
    r"no producer has sent anything for \d\d s\. Switch on more of them under Producers\.$"
)
"""The seconds go on while the test looks."""


@pytest.mark.empty_page
async def test_silence_names_its_cause(page: Page) -> None:
    """A selection is named only if nothing in it is overdue: a failure is no reason to select more."""
    body = """
        const producer = (name, period, shared = false) => {
            return { name, shared, on: { sse: { period }, websocket: null } };
        };
        const silence = new m.Silence();
        const at = (ms, producers = null, speed = "1", works = true) => {
            return silence.sentence({ producers, speed }, ms, works);
        };
        const found = [at(9_999), at(10_000)];
        silence.setProducers([producer("fast", 2), producer("slow", 60), producer("own", null)], "sse");
        found.push(at(12_345), at(12_345, ["slow"]), at(12_345, ["slow", "fast"]), at(12_345, ["own"]));
        found.push(at(91_000, ["slow"]), at(91_000, ["slow"], "0.1"));
        found.push(at(46_000, ["slow"], "2"), at(46_000, [], "x"));
        silence.setProducers([producer("shared", 60, true), producer("fast", 2)], "sse");
        return [...found, at(46_000, ["shared"], "2"), at(46_000, null, "1", false)];
    """

    def text(seconds: int, rest: str = "") -> str:
        return f"The connection works, but no producer has sent anything for {seconds} s.{rest}"

    more = " Switch on more of them under Producers."

    def failed(name: str) -> str:
        return f" Producers, below, shows whether {name} has failed."

    assert await run(page, "connection/silence", body) == [
        *(None, text(10)),
        *(text(12, failed("fast")), text(12, more), text(12, failed("fast")), text(12, more)),
        *(text(91, failed("slow")), text(91, more), text(46, failed("slow")), text(46, more)),
        text(46, more),
        "Nothing has arrived for 46 s. This server sends no heartbeats, so the connection may not work."
        + failed("fast"),
    ]


async def test_silent_producers_leave_it_connected(open_page: Open, side: str) -> None:
    """Heartbeats show that the connection works. The sentence names the silence, until it ends."""
    page = await open_page("/?producers=welcome")
    panel = Panel(page, side)
    await panel.connect()
    welcome = {"websocket": "WebSocket connection established", "sse": "SSE connection established"}
    await expect(panel.texts.first).to_have_text(welcome[side])
    await expect(panel.sentence).to_have_text(SILENT)
    await panel.becomes("connected")
    await expect(panel.part("received")).to_have_text("1")
    await expect(panel.part("lost")).to_have_text("0 lost, 0 repeated, 0 out of order")
    await panel.send_text("anybody there?")
    await expect(panel.sentence).to_have_text("Messages arrive as they are produced.")
    await expect(panel.part("reconnects")).to_have_text("0")
