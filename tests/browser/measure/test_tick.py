"""The tick of performance.now()."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_the_tick_of_each_engine(page: Page) -> None:
    """Rounding to 5 µs up to 1 ms is found, also with interruptions, and in few milliseconds."""
    body = """
        const ticks = [0.005, 0.02, 0.1, 1].map((tick) => {
            let micros = 0;
            const now = () => {
                micros += micros % 1009 === 0 ? 450 : 1;
                return Math.floor(micros / 1000 / tick) * tick;
            };
            return [m.measureTick(now), micros / 1000];
        });
        return ticks;
    """
    found = await run(page, "measure/tick", body)
    assert [tick for tick, _ in found] == pytest.approx([0.005, 0.02, 0.1, 1])
    assert all(took < 10 for _, took in found)


async def test_a_clock_that_stands_still_ends_the_measurement(page: Page) -> None:
    """It is then taken for the coarsest, as nothing better is known."""
    assert await run(page, "measure/tick", "return m.measureTick(() => 5);") == 100


async def test_the_tick_of_this_browser(page: Page) -> None:
    """Every reading of the clock is a multiple of it away from the first."""
    body = """
        const tick = m.measureTick();
        const start = performance.now();
        let worst = 0;
        for (let i = 0; i < 1000; i += 1) {
            const steps = (performance.now() - start) / tick;
            worst = Math.max(worst, Math.abs(steps - Math.round(steps)));
        }
        return [tick, worst];
    """
    tick, worst = await run(page, "measure/tick", body)
    assert 0.001 < tick <= 1
    assert worst < 0.01
