"""Numbers, times and texts as the page formats them."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run
from tests.browser.panel import NONE

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_milliseconds(page: Page) -> None:
    """Tenths below 100, whole numbers above, a dash for nothing; an error bound is rounded up."""
    assert await run(
        page, "format", "return [null, 0, 1.24, 9.96, 99.94, 99.96, 1234.5].map(m.milliseconds)"
    ) == [NONE, "0.0", "1.2", "10.0", "99.9", "100", "1,235"]
    assert await run(page, "format", "return [-0.04, -0.06].map(m.milliseconds)") == ["0.0", "-0.1"]
    body = "return [0.31, 0.3, 0.01, 120.2].map(m.margin)"
    assert await run(page, "format", body) == ["0.4", "0.3", "0.1", "121"]


async def test_duration(page: Page) -> None:
    """A short break is not `0.0 s`."""
    body = "return [12.4, 99.4, 100, 8040].map(m.duration)"
    assert await run(page, "format", body) == ["12 ms", "99 ms", "0.1 s", "8.0 s"]


async def test_reading(page: Page) -> None:
    """A reading below its error is shown as a bound, an impossible one as such; none is negative."""
    cases = "[[null, null], [1.24, 0.31], [0.1, 0.3], [-0.1, 0.3], [-5, 0.3]]"
    assert await run(page, "format", f"return {cases}.map((c) => Object.values(m.reading(...c)))") == [
        ["", NONE, "no reading yet"],
        ["", "1.2", "± 0.4 ms"],
        ["under", "0.4", "below clock error"],
        ["under", "0.3", "below clock error"],
        ["", NONE, "a clock was set"],
    ]


async def test_time_of_day(page: Page) -> None:
    """A time has milliseconds; what is no time is a dash."""
    body = "return [new Date(2026, 0, 2, 3, 4, 5, 6).getTime(), 1e300, NaN].map(m.timeOfDay)"
    assert await run(page, "format", body) == ["03:04:05.006", NONE, NONE]


async def test_clip(page: Page) -> None:
    """A cut never goes through a character."""
    body = r"return [m.clip('abc', 3), m.clip('abcd', 3), m.clip('ab\u{1F600}c', 3)]"
    assert await run(page, "format", body) == ["abc", "abc…", "ab…"]
