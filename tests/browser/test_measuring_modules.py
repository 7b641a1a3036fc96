"""What the page computes of its samples, called in the browser as the page calls it."""

from __future__ import annotations

import json
import random
import statistics
from itertools import pairwise

import pytest
from playwright.async_api import Page

from rtdemo import wire
from tests.browser.test_modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_percentiles_are_within_two_percent(page: Page) -> None:
    """From a microsecond-like latency to minutes, in memory that does not grow."""
    chance = random.Random(1)
    values = [chance.lognormvariate(1, 2.5) for _ in range(5_000)]
    body = """
        const histogram = new m.Histogram();
        for (const value of VALUES) histogram.add(value);
        const found = [5, 25, 50, 95, 99, 99.9].map((percent) => histogram.percentile(percent));
        return [found, histogram.max, histogram.counts.length];
    """
    body = body.replace("VALUES", json.dumps(values))
    found, largest, buckets = await run(page, "measure/histogram", body)
    ordered = sorted(values)
    for percent, value in zip((5, 25, 50, 95, 99, 99.9), found, strict=True):
        rank = max(1, -(-len(values) * percent // 100))
        assert value == pytest.approx(ordered[int(rank) - 1], rel=0.02)
    assert largest == max(values)
    assert buckets == 920


async def test_percentiles_of_nothing_and_of_next_to_nothing(page: Page) -> None:
    """Without a value there is none; what is less than a clock can tell is never made larger."""
    body = """
        const of = (...values) => {
            const histogram = new m.Histogram();
            for (const value of values) histogram.add(value);
            return [histogram.percentile(50), histogram.max];
        };
        return [of(), of(-3, -2, -1), of(0.001, 5, 1e12)];
    """
    nothing, negative, wide = await run(page, "measure/histogram", body)
    assert nothing == [None, None]
    assert negative == [-1, -1]
    assert wide == [pytest.approx(5, rel=0.02), 1e12]


async def test_jitter_is_that_of_the_rfc(page: Page) -> None:
    """J += (|D| - J) / 16 (RFC 3550 section 6.4.1); a message left out is compared with nothing."""
    latencies = [5.0, 7.0, 4.0, 4.0, 10.0]
    expected = 0.0
    for before, after in pairwise(latencies):
        expected += (abs(after - before) - expected) / 16
    body = f"""
        const jitter = new m.Jitter();
        const first = jitter.value;
        for (const latency of {latencies}) jitter.add(latency);
        const value = jitter.value;
        jitter.interrupt();
        jitter.add(1000);
        return [first, value, jitter.value];
    """
    assert await run(page, "measure/jitter", body) == [
        None,
        pytest.approx(expected),
        pytest.approx(expected),
    ]


PAYLOADS = ["", "ascii", "ü€😀 \ud7ff\ue000", "x" * 125, "x" * 126, "é" * 63, "x" * 65_535, "x" * 65_536]


@pytest.mark.parametrize("text", PAYLOADS, ids=lambda text: f"{len(text.encode())} bytes")
@pytest.mark.parametrize("position", [None, "1a2b-417"])
async def test_bytes_are_those_that_the_server_writes(
    page: Page, text: str, position: str | None
) -> None:
    """A message counts for as many bytes as the server's own encoder makes of it, on both transports."""
    payload = text.encode()
    body = f"""
        const payload = m.utf8Length({json.dumps(text)});
        const position = {json.dumps(position)};
        const sse = (protocol) => m.sseBytes(payload, position, protocol);
        return [payload, m.websocketBytes(payload), sse("http/1.1"), sse("http/1.0"), sse("h2")];
    """
    event = len(wire.sse_event(payload, position))
    assert await run(page, "connection/wire_size", body) == [
        len(payload),
        len(wire.websocket_frame(payload, position)),
        len(wire.sse_chunk(payload, position)),
        event,
        event + 9,
    ]


async def test_the_ring_is_bounded(page: Page) -> None:
    """It holds so many samples and no more, the oldest first, and finds a moment among them."""
    body = """
        const ring = new m.Ring(4);
        for (let i = 1; i <= 6; i += 1) ring.push(i * 10, i, 0, i, 0, 0);
        const ats = Array.from({ length: ring.length }, (_, index) => ring.at[ring.slot(index)]);
        const since = [0, 30, 31, 60, 61].map((at) => ring.since(at));
        const lengths = [ring.at.length, new m.Ring().at.length];
        ring.clear();
        return [ats, since, lengths, ring.length, ring.since(0)];
    """
    assert await run(page, "measure/ring", body) == [
        [30, 40, 50, 60],
        [0, 0, 1, 3, 4],
        [4, 131_072],
        0,
        0,
    ]


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
    """Over the last ten seconds, or since the connection opened; too early to tell within the first."""
    body = """
        const recording = new m.Recording();
        recording.begin(1000);
        for (let at = 1000; at < 21_000; at += 20) {
            recording.record({ at, latency: null, payload: 1, bytes: 1, producer: "p", flags: 4 });
        }
        return [1500, 21_000, 26_000].map((now) => recording.rate(now));
    """
    assert await run(page, "measure/recording", body) == [None, 50, 25]


async def test_a_break_lasts_until_all_is_normal(page: Page) -> None:
    """What the server made before it let go belongs to the break; the first message after ends it."""
    body = """
        const { Spans } = await import("/static/measure/spans.js");
        const spans = new Spans();
        const faults = new m.Faults(spans);
        const answer = (fields, sentAt) =>
            faults.answered({ producer: "rtdemo", message: JSON.stringify(fields), sentAt }, 0);
        const marks = (sentAt) => faults.affects({ sentAt }, sentAt);
        const found = [marks(1), JSON.parse(faults.request("stop", 10)).rtdemo.break, marks(2)];
        found.push(faults.kind, faults.pending, spans.isOpen("stop"));
        found.push(answer({ break: "stop", seconds: 5 }, 100), marks(5100), spans.isOpen("stop"));
        found.push(marks(5101), spans.isOpen("stop"), faults.kind, marks(4000));
        faults.request("delay", 6000);
        answer({ break: "delay", seconds: 0.25 }, 6000);
        found.push(marks(9000), JSON.parse(faults.request("delay", 9500)).rtdemo.break, marks(9600));
        answer({ break: "none" }, 9700);
        found.push(marks(9701));
        faults.request("cut", 10_000);
        found.push(answer({ error: "off" }, 10_001), faults.refusal, marks(10_002));
        faults.request("cut", 11_000);
        faults.connectionLost(11_100);
        faults.welcomed({ sentAt: 12_000 });
        found.push(marks(11_500), marks(12_000), marks(12_001));
        return found;
    """
    assert await run(page, "measure/faults", body) == [
        *(False, "stop", False),
        *(None, True, False),
        *(True, True, True),
        *(False, False, None, True),
        *(True, "none", True),
        False,
        *(True, "off", False),
        *(True, True, False),
    ]


async def test_a_break_without_an_answer_is_given_up(page: Page) -> None:
    """After ten seconds the page says so, and counts again."""
    body = """
        const { Spans } = await import("/static/measure/spans.js");
        const faults = new m.Faults(new Spans());
        faults.request("cut", 0);
        const expired = [faults.expire(9_999), faults.expire(10_000)];
        const { pending, kind, refusal } = faults;
        return [...expired, pending, kind, refusal, faults.affects({ sentAt: 1 }, 1)];
    """
    assert await run(page, "measure/faults", body) == [
        *(False, True, False, None, "The server did not answer in 10 s.", False)
    ]


async def test_the_clock_is_told_after_a_whole_round(page: Page) -> None:
    """Ten probes come first, the surest wins, and time between probes is monotonic."""
    body = """
        const errors = [9, 8, 3, 7, 6, 5, 4, 9, 9, 9];
        const early = [];
        let asked = 0;
        const clock = new m.ServerClock(
            async () => ({ offset: 1000, error: errors[asked++], at: 0 }),
            () => { if (asked < errors.length) early.push(clock.at(0)); },
        );
        await clock.measure();
        return [asked, early, clock.at(0), clock.at(50).time - clock.at(0).time];
    """
    assert await run(page, "measure/server_clock", body) == [
        10,
        [None] * 9,
        {"time": 1000, "error": 3},
        50,
    ]


async def test_the_exact_median_is_between_buckets(page: Page) -> None:
    """The figure on the page is the nearest rank's, as Python's own median of an odd count is."""
    values = [1.01, 1.3, 1.31, 1.4, 9.0]
    body = f"const h = new m.Histogram(); for (const v of {values}) h.add(v); return h.percentile(50);"
    assert await run(page, "measure/histogram", body) == pytest.approx(
        statistics.median(values), rel=0.02
    )
