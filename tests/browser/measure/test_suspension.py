"""A page that stood still: what it detects, and which messages count afterwards."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]

DETECTOR = """
    let wall = 0;
    let hidden = false;
    const found = [];
    const detector = new m.SuspensionDetector((each) => found.push(each), 0, () => wall, () => hidden);
    const pass = (now, epoch) => { wall = epoch; detector.check(now); };
"""


async def test_a_gap_between_ticks_is_a_suspension(page: Page) -> None:
    """Either clock reveals it, also where performance.now() stops while the machine is suspended."""
    body = (
        DETECTOR
        + """
        pass(500, 500); pass(2400, 2400);
        pass(22_400, 22_400);
        pass(22_900, 82_900);
        return [found, detector.resumedAt];
    """
    )
    assert await run(page, "measure/suspension", body) == [
        [
            {"from": 2400, "to": 22_400, "lasted": 20_000, "clockStopped": False},
            {"from": 22_400, "to": 22_900, "lasted": 60_500, "clockStopped": True},
        ],
        22_900,
    ]


async def test_slow_timers_of_a_hidden_page_are_none(page: Page) -> None:
    """Browsers slow them down to one a minute; only a stopped clock proves a suspension there."""
    body = (
        DETECTOR
        + """
        pass(500, 500);
        hidden = true; pass(60_500, 60_500);
        pass(61_000, 121_000);
        hidden = false; pass(121_500, 181_500); pass(122_000, 182_000);
        return found.map(({ from, to, clockStopped }) => [from, to, clockStopped]);
    """
    )
    assert await run(page, "measure/suspension", body) == [[60_500, 61_000, True]]


async def test_a_clock_that_was_set_is_none(page: Page) -> None:
    """A wall clock that goes back, or forward by less than a gap, changes nothing."""
    body = DETECTOR + "pass(500, 500); pass(1000, -3_600_000); pass(1500, -3_599_000); return found;"
    assert await run(page, "measure/suspension", body) == []


MEASUREMENT = """
    const { Measurement } = await import("/static/measure/measurement.js");
    const { leftOut } = await import("/static/measure/recording.js");
    /** The server's time is 1,000,000 ms ahead; the clock may be unknown. */
    const clock = {
        known: true,
        suspect() {},
        at(at) { return this.known ? { time: at + 1_000_000, error: 0.5 } : null; },
    };
    let wall = 0;
    const resumed = (each) => measured.suspended(each);
    const suspension = new m.SuspensionDetector(resumed, 0, () => wall, () => false);
    const visibility = { delays: () => false };
    const measured = new Measurement({ clock, visibility, suspension });
    const take = (sent, arrived, client = null, epoch = arrived, id = null) => {
        wall = epoch;
        measured.take(
            { message: "", sentAt: 1_000_000 + sent, producer: "p", seq: null, id, client },
            arrived, 80, 90,
        );
    };
    const { recording } = measured;
    const { histogram, ring } = recording;
"""


async def test_what_was_sent_before_the_page_resumed_is_in_no_figure(page: Page) -> None:
    """Messages of the pause are caught up; those sent after it count, and the rate begins anew."""
    body = (
        MEASUREMENT
        + """
        measured.opened(0, 1);
        take(0, 2, "client");
        for (const sent of [100, 1000]) take(sent, sent + 2);
        for (const sent of [2000, 11_000, 20_999]) take(sent, 21_000);
        take(21_100, 21_103);
        const flags = Array.from({ length: ring.length }, (_, index) => ring.flags[ring.slot(index)]);
        const span = measured.spans.list.at(-1);
        return [
            flags, leftOut(recording), histogram.max, recording.jitter.value,
            recording.rate(21_900), recording.rate(23_000), span,
        ];
    """
    )
    flags, left, largest, jitter, early, rate, span = await run(page, "measure/suspension", body)
    assert flags == [0, 0, 0, 8, 8, 8, 0]
    assert left == "3 caught up after an interruption"
    assert largest == 3
    assert jitter == 0
    assert early is None
    assert rate == 0.5
    assert span == {"kind": "asleep", "from": 1002, "to": 21_000, "lasted": 19_998}


async def test_while_the_clock_is_unknown_after_a_pause_all_is_caught_up(page: Page) -> None:
    """performance.now() stopped, so the reading is wrong; the next round of probes ends this."""
    body = (
        MEASUREMENT
        + """
        measured.opened(0, 1);
        take(0, 2, "client");
        clock.known = false;
        take(70, 72, null, 60_072);
        take(200, 202, null, 60_202);
        clock.known = true;
        take(300, 302, null, 60_302);
        const words = leftOut(recording);
        const { spanText } = await import("/static/measure/spans.js");
        return [words, histogram.count, spanText(measured.spans.list.at(-1), 0)];
    """
    )
    assert await run(page, "measure/suspension", body) == [
        "2 caught up after an interruption",
        2,
        "page asleep: 60.1 s",
    ]


async def test_replayed_messages_are_in_no_figure(page: Page) -> None:
    """They were sent before the welcome of their connection, by the server's own clock."""
    body = (
        MEASUREMENT
        + """
        measured.opened(0, 1);
        take(0, 1, "client");
        take(10, 12);
        measured.interrupted(1000);
        for (let now = 1000; now <= 21_000; now += 500) { wall = now; suspension.check(now); }
        measured.opened(21_000, null);
        take(21_000, 21_001, "other");
        for (const sent of [5000, 10_000, 20_999.5]) take(sent, 21_003, null, 21_003, "ab-1");
        take(21_004, 21_006);
        return [leftOut(recording), histogram.count, histogram.max, recording.rate(23_000)];
    """
    )
    assert await run(page, "measure/suspension", body) == [
        "3 caught up after an interruption",
        4,
        2,
        1,
    ]
