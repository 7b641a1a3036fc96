"""The recording of samples and its figures."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_marked_samples_are_in_no_figure(page: Page) -> None:
    """Hidden, broken and untimed samples are kept, counted by their reason, and change no figure."""
    body = """
        const recording = new m.Recording();
        const record = (value, flags) => recording.record({
            at: 0, latency: value === null ? null : { value, error: 0.5 },
            payload: 80, bytes: 90, producer: "p", flags,
        });
        for (const value of [2, 2, 2]) record(value, 0);
        record(9000, 1); record(9000, 2); record(9000, 3); record(null, 4);
        const { histogram, jitter, left, ring, bytesPerMessage } = recording;
        const words = m.leftOut(recording);
        const kept = [ring.length, histogram.count, histogram.max, jitter.value, bytesPerMessage];
        recording.reset(0);
        return [kept, words, m.leftOut(recording), recording.ring.length];
    """
    words = "2 during injected faults, 1 while the tab was hidden, 1 before the clock was known"
    assert await run(page, "measure/recording", body) == [[7, 3, 2, 0, 90], words, "none", 0]


async def test_names_and_spans_are_bounded(page: Page) -> None:
    """A server that invents producers, and a line that breaks all day, fill no memory."""
    body = """
        const { Spans, MAX_SPANS } = await import("/static/measure/spans.js");
        const recording = new m.Recording();
        for (let i = 0; i < 400; i += 1) {
            const producer = `p${i}`;
            recording.record({ at: i, latency: null, payload: 1, bytes: 1, producer, flags: 4 });
        }
        const spans = new Spans();
        for (let i = 0; i < 300; i += 1) { spans.open("away", i); spans.close("away", i + 0.5); }
        const { names, ring } = recording;
        return [names.length, ring.producer[399], spans.list.length === MAX_SPANS, spans.list[0].from];
    """
    assert await run(page, "measure/recording", body) == [255, 255, True, 100]


async def test_messages_a_second(page: Page) -> None:
    """Over the last ten seconds, or since the connection opened; none within the first second."""
    body = """
        const recording = new m.Recording();
        recording.begin(1000);
        for (let at = 1000; at < 21_000; at += 20) {
            recording.record({ at, latency: null, payload: 1, bytes: 1, producer: "p", flags: 4 });
        }
        return [1500, 21_000, 26_000].map((now) => recording.rate(now));
    """
    assert await run(page, "measure/recording", body) == [None, 50, 25]
