"""Percentiles of the latency histogram."""

from __future__ import annotations

import json
import random
import statistics

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


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
    """Without a value there is none; a value below the first bucket is never made larger."""
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


async def test_the_exact_median_is_between_buckets(page: Page) -> None:
    """The figure on the page is the nearest rank's, as Python's own median of an odd count is."""
    values = [1.01, 1.3, 1.31, 1.4, 9.0]
    body = f"const h = new m.Histogram(); for (const v of {values}) h.add(v); return h.percentile(50);"
    assert await run(page, "measure/histogram", body) == pytest.approx(
        statistics.median(values), rel=0.02
    )
