"""The chart of both histograms."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]


async def test_a_side_without_samples_has_no_curve(page: Page) -> None:
    """Where there is nothing, no line is drawn along the foot of the histograms."""
    body = """
        const { Histogram } = await import("/static/measure/histogram.js");
        let strokes = 0;
        const draw = { measureText: () => ({ width: 9 }), stroke: () => { strokes += 1; } };
        const get = (all, name) => all[name] ?? (() => {});
        const context = new Proxy(draw, { get, set: () => true });
        const [none, some] = [new Histogram(), new Histogram()];
        some.add(3);
        const curves = [["websocket", none], ["sse", some]].map(([side, histogram]) =>
            ({ side, name: side, histogram, error: 0.1 }));
        m.drawHistogramChart(context, 300, 200, { curves, top: 2, palette: {} });
        return strokes;
    """
    assert await run(page, "panels/histogram_chart", body) == 1
