"""The recording of samples and its figures."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


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
    words = "2 during injected faults, 1 while the tab was hidden, 1 while the clock was unknown"
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


REBUILT = """
    const recorded = (values, flag = () => 0) => {
        const recording = new m.Recording();
        values.forEach((value, at) => recording.record({
            at, latency: { value, error: value / 10 },
            payload: 80, bytes: 90, producer: "p", flags: flag(at),
        }));
        return recording;
    };
    const figures = ({ histogram, jitter, latency, meanError, error, left }) => [
        histogram.count, histogram.below, histogram.max, [...histogram.counts].join(),
        jitter.value, latency.count, latency.value, meanError.value, error, left,
    ];
    const { seeded } = await import("/static/compare/bootstrap.js");
    const random = seeded(3);
    const values = Array.from({ length: 3000 }, () => random() * 20);
"""


async def test_untimed_samples_leave_every_figure(page: Page) -> None:
    """The figures are those of a recording without them; what was left out keeps its reason."""
    body = (
        REBUILT
        + """
        const recording = recorded([...values, 900, 5000, 2], (at) => (at === 3002 ? 1 : 0));
        recording.untime(3000);
        const { ring, left } = recording;
        const flags = [2999, 3000, 3001, 3002].map((slot) => ring.flags[slot]);
        left.hidden -= 1; left.untimed -= 2;
        const expected = recorded(values);
        return [figures(recording), figures(expected), flags, ring.latency[3001]];
    """
    )
    found, expected, flags, latency = await run(page, "measure/recording", body)
    for value, wanted in zip(found, expected, strict=True):
        assert value == (pytest.approx(wanted, rel=1e-5) if isinstance(wanted, float) else wanted)
    assert flags == [0, 4, 4, 5]
    assert latency != latency


async def test_without_any_sample_left_there_is_no_figure(page: Page) -> None:
    """All samples are untimed; or the ring has lost some of those that should be."""
    body = (
        REBUILT
        + """
        const all = recorded(values);
        all.untime(0);
        const lost = recorded(values);
        const { ring } = lost;
        for (let at = 3000; at < ring.at.length + 10; at += 1) ring.push(at, 1, 1, 1, 0, 0);
        lost.untime(5);
        const left = (each) => [...figures(each).slice(0, 3), each.error, each.jitter.value];
        return [left(all), left(lost)];
    """
    )
    assert await run(page, "measure/recording", body) == [[0, 0, None, None, None]] * 2
