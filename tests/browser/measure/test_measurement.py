"""Counts and averages of one side."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.modules import run
from tests.browser.panel import Panel, answer_websockets, clock_is_known, stay_awake

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.empty_page
async def test_counts_and_reset(page: Page) -> None:
    """Messages and the gaps of their numbers are counted, and Reset forgets it all."""
    body = """
        const { completeness } = await import("/static/measure/ledger_text.js");
        const stats = new m.Stats();
        const message = { message: "", sentAt: 0, producer: "p", seq: 4, id: null, client: null };
        stats.record(message);
        stats.record({ ...message, seq: 5 });
        stats.record({ ...message, seq: null });
        const before = [stats.received, completeness(stats)];
        stats.reset();
        stats.record({ ...message, seq: 6 });
        return [...before, stats.received, completeness(stats)];
    """
    found = await run(page, "measure/measurement", body)
    assert found == [3, "3 lost", 1, "none missing"]


async def test_a_replay_after_a_reconnect_is_no_latency(page: Page) -> None:
    """What the outage kept back is counted and listed, and the largest latency stays what it was."""
    await stay_awake(page)
    await clock_is_known(page)
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


MEASUREMENT = """
    const { leftOut } = await import("/static/measure/recording.js");
    const suspected = [];
    const clock = {
        offset: 1_000_000,
        at(at) { return { time: at + this.offset, error: 0.5 }; },
        suspect(at) { suspected.push(at); },
    };
    const suspension = { resumedAt: -Infinity, check() {} };
    const { PageVisibility } = await import("/static/measure/visibility.js");
    const visibility = new PageVisibility(() => {});
    const measured = new m.Measurement({ clock, visibility, suspension });
    const take = (at, sentAt, client = null, id = null) => measured.take(
        { message: "", sentAt, producer: "p", seq: null, id, client }, at, 80, 90,
    );
    const { recording } = measured;
"""


@pytest.mark.empty_page
async def test_an_impossible_latency_suspects_the_clock(page: Page) -> None:
    """It arrived before it was sent, or was sent before its connection: it has no latency."""
    body = (
        MEASUREMENT
        + """
        take(1000, 1_000_998, "client");
        take(1100, 1_001_099);
        take(1200, 1_001_250);
        take(1300, 1_001_299 - 3_600_000);
        const words = leftOut(recording);
        const { histogram, ring: { flags, latency } } = recording;
        const kept = [[...flags.slice(0, 4)], [...latency.slice(2, 4)].every(Number.isNaN)];
        return [suspected, words, histogram.count, ...kept];
    """
    )
    assert await run(page, "measure/measurement", body) == [
        [1200, 1300],
        "2 while the clock was unknown",
        2,
        [0, 0, 4, 4],
        True,
    ]


@pytest.mark.empty_page
async def test_a_jump_suspects_the_clock_and_a_set_clock_rebuilds(page: Page) -> None:
    """Latency that is 50 ms larger from now on is measured again; what it changed is taken back."""
    body = (
        MEASUREMENT
        + """
        take(900, 1_000_899, "client");
        for (let at = 1000; at < 5000; at += 100) take(at, at + 999_998);
        const { value: before } = recording.latency;
        const { max } = recording.histogram;
        for (let at = 5000; at < 9000; at += 100) take(at, at + 999_948);
        const raised = recording.latency.value;
        measured.clockSet(5000);
        clock.offset -= 50;
        take(9000, 999_948 + 9000);
        const { histogram, latency } = recording;
        const after = [latency.value, histogram.max, leftOut(recording)];
        return [suspected[0] < 8000, before, max, raised, ...after];
    """
    )
    suspected, before, largest, raised, after, max_after, words = await run(
        page, "measure/measurement", body
    )
    assert suspected
    assert raised > before + 20
    assert after == pytest.approx(before, abs=0.1)
    assert max_after == largest
    assert words == "40 while the clock was unknown"
