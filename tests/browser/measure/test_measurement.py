"""Counts and averages of one side."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import BrowserErrors
from tests.browser.modules import run
from tests.browser.panel import Panel, answer_websockets

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_mean_and_reset(page: Page) -> None:
    """The mean is that of what was added, and Reset forgets it all."""
    body = """
        const { completeness } = await import("/static/measure/ledger.js");
        const stats = new m.Stats();
        const message = { message: "", sentAt: 0, producer: "p", seq: 4, id: null, client: null };
        stats.record(message, { value: 1, error: 0.2 });
        stats.record({ ...message, seq: 5 }, { value: 3, error: 0.4 });
        stats.record({ ...message, seq: null }, null);
        const before = [stats.received, stats.latency.value, stats.error.value, completeness(stats)];
        stats.reset();
        stats.record({ ...message, seq: 6 }, null);
        return [...before, stats.received, stats.latency.value, completeness(stats)];
    """
    found = await run(page, "measure/measurement", body)
    assert found == [3, 2, pytest.approx(0.3), "3 lost", 1, None, "none missing"]


async def test_a_replay_after_a_reconnect_is_no_latency(
    page: Page, browser_errors: BrowserErrors
) -> None:
    """What the outage kept back is counted and listed, and the largest latency stays what it was."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    epoch = await page.evaluate("Date.now()")

    def send(index: int, sent: float, seq: int, **fields: str) -> None:
        message = {"message": "text", "producer": "p", "seq": seq, "sentAt": sent, **fields}
        sockets[index].send(json.dumps(message))

    send(0, epoch, 1, client="one")
    await expect(panel.part("received")).to_have_text("1")
    await sockets[0].close(code=1011)
    await expect(panel.part("reconnects")).to_have_text("1")
    send(1, epoch + 1, 1, client="other")
    for seq in range(2, 14):
        send(1, epoch - 60_000 + seq, seq, id=f"ab-{seq}")
    await expect(panel.part("received")).to_have_text("14")
    await expect(panel.part("left-out")).to_have_text("12 caught up after an interruption")
    label = re.compile(r"2 messages, .*largest (?:under )?[\d.,]{1,5} ms")
    await expect(panel.part("strip")).to_have_accessible_name(label)
    # The server does not know the clients of the test's own sockets.
    browser_errors.remove_expected("404")
