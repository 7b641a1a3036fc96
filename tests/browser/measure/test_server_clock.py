"""The estimate of the server's clock."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_clock_reading(page: Page) -> None:
    """A probe bounds the offset by half its round trip; the bound grows by 15 ppm."""
    body = """
        const reading = m.readingFrom(100, 1_000_101, 104, 0);
        return [reading.offset, reading.error, m.errorAt(reading, 104), m.errorAt(reading, 100_104)];
    """
    assert await run(page, "measure/server_clock", body) == [999_999, 2, 2, 3.5]


async def test_clock_choice(page: Page) -> None:
    """The surer reading wins; one that contradicts it wins too, since then a clock was set."""
    body = """
        const kept = { offset: 50, error: 1, at: 0 };
        return [
            m.betterReading(null, kept) === kept,
            m.betterReading(kept, { offset: 50.5, error: 2, at: 10 }) === kept,
            m.betterReading(kept, { offset: 50.5, error: 0.5, at: 10 }) === kept,
            m.betterReading(kept, { offset: 50.5, error: 2, at: 100_000 }) === kept,
            m.betterReading(kept, { offset: 90, error: 2, at: 10 }) === kept,
        ];
    """
    assert await run(page, "measure/server_clock", body) == [True, True, False, False, False]


async def test_clock_without_a_server(page: Page) -> None:
    """A clock that cannot be asked stays unknown, and keeps what it knew."""
    body = """
        const NONE = () => {};
        let answers = 0;
        const answer = async () => {
            if ((answers += 1) > 1) throw new Error("away");
            return { offset: 5, error: 1, at: 0 };
        };
        const dead = new m.ServerClock(async () => { throw new Error("away"); }, NONE, NONE, 0);
        const clock = new m.ServerClock(answer, NONE, NONE, 0);
        await dead.measure();
        await clock.measure();
        return [dead.at(0), clock.at(10).time];
    """
    assert await run(page, "measure/server_clock", body) == [None, 15]


async def test_the_clock_is_told_after_a_whole_round(page: Page) -> None:
    """Ten probes come first, the surest wins, and the page's own tick is part of its error."""
    body = """
        const errors = [9, 8, 3, 7, 6, 5, 4, 9, 9, 9];
        const early = [];
        let asked = 0;
        const clock = new m.ServerClock(
            async () => ({ offset: 1000, error: errors[asked++], at: 0 }),
            () => { if (asked < errors.length) early.push(clock.at(0)); },
            () => {},
            0.5,
        );
        await clock.measure();
        return [asked, early, clock.at(0), clock.at(50).time - clock.at(0).time];
    """
    assert await run(page, "measure/server_clock", body) == [
        10,
        [None] * 9,
        {"time": 1000, "error": 3.5},
        50,
    ]


SET = """
    const answers = [];
    const set = [];
    let asked = 0;
    const clock = new m.ServerClock(
        async () => {
            asked += 1;
            if (answers.length === 0) throw new Error("away");
            return answers.shift();
        },
        () => {},
        (since) => set.push([since, clock.at(0)]),
        0,
    );
    const round = (...offsets) => answers.push(
        ...offsets.map(([offset, at]) => ({ offset, error: 1, at })),
    );
    const settled = async () => { for (let i = 0; i < 50; i += 1) await null; };
"""


async def test_a_clock_that_was_set_is_told(page: Page) -> None:
    """The readings contradict each other: times since the last one are wrong, and new ones wait."""
    body = (
        SET
        + """
        round([50, 1000], [50.5, 1010]);
        await clock.measure();
        round([50, 31_000], [49.9, 31_010]);
        await clock.measure();
        const before = clock.at(31_010).time;
        round([-3_599_950, 61_000], [-3_599_950, 61_010]);
        await clock.measure();
        return [before, set, clock.at(61_010).time];
    """
    )
    assert await run(page, "measure/server_clock", body) == [
        pytest.approx(31_060, abs=1),
        [[31_010, None]],
        61_010 - 3_599_950,
    ]


async def test_suspicion_is_bounded(page: Page) -> None:
    """It starts a round at once, then one a second at most, and fewer while none finds a cause."""
    body = (
        SET
        + """
        const rounds = [];
        const suspect = async (at) => {
            const before = asked;
            clock.suspect(at);
            await settled();
            if (asked > before) rounds.push(at);
        };
        for (let at = 0; at <= 70_000; at += 500) await suspect(at);
        const quiet = rounds.splice(0);
        round([50, 70_000]);
        await clock.measure();
        round([90, 100_000]);
        for (let at = 100_000; at <= 104_000; at += 500) await suspect(at);
        return [quiet, set.length, rounds];
    """
    )
    assert await run(page, "measure/server_clock", body) == [
        [0, 1000, 3000, 7000, 15_000, 31_000, 61_000],
        1,
        [100_000, 100_500, 101_500, 103_500],
    ]
