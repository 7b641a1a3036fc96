"""The estimate of the server's clock."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
        let answers = 0;
        const answer = async () => {
            if ((answers += 1) > 1) throw new Error("away");
            return { offset: 5, error: 1, at: 0 };
        };
        const dead = new m.ServerClock(async () => { throw new Error("away"); }, () => {}, 0);
        const clock = new m.ServerClock(answer, () => {}, 0);
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
