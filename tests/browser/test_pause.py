"""Charts that stand still show what was there, and drawing makes nothing up."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from rtdemo.server import Server
from tests.browser.conftest import Open
from tests.browser.panel import Panel
from tests.browser.test_charts import strip
from tests.browser.test_modules import run

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_pause_holds_through_another_size(open_page: Open, flooded: Server) -> None:
    """What is drawn again while paused is what was there at the Pause."""
    page = await open_page(server=flooded)
    panel = Panel(page, "sse")
    await panel.connect_and_flood(100)
    await page.get_by_role("button", name="Pause the charts").click()
    canvases = [strip(page, "sse"), page.locator('[data-part="histogram"]')]
    for canvas in canvases:
        await expect(canvas).not_to_have_accessible_name(re.compile("no messages yet.*no messages yet"))
    await page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
    held = [await canvas.get_attribute("aria-label") for canvas in canvases]
    before = await page.locator('[data-part="histogram"]').evaluate("(canvas) => canvas.width")
    await panel.received(400)
    await page.set_viewport_size({"width": 1100, "height": 700})
    await page.wait_for_function(
        """(before) => document.querySelector('[data-part="histogram"]').width !== before""", arg=before
    )
    assert [await canvas.get_attribute("aria-label") for canvas in canvases] == held


@pytest.mark.parametrize("button", ["Reset both", "Reset WebSocket"])
async def test_reset_ends_the_pause(page: Page, button: str) -> None:
    """What was reset is no longer shown."""
    pause = page.get_by_role("button", name="Pause the charts")
    await pause.click()
    await expect(pause).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name=button, exact=True).click()
    await expect(pause).to_have_attribute("aria-pressed", "false")


async def test_the_scale_fits_what_is_shown(page: Page) -> None:
    """Its top is that of the samples between two moments, also where these are past."""
    body = """
        const { Ring } = await import("/static/measure/ring.js");
        const ring = new Ring(9);
        [5, 900, 20, 7].forEach((latency, at) => ring.push(at, latency, 0, 1, 0, 0));
        return [[0, 9], [2, 9], [0, 1], [3, 3]].map(([from, to]) => m.largestLatency(ring, from, to));
    """
    assert await run(page, "views/strip_chart", body) == [900, 20, 5, 0]


async def test_spans_until_a_moment(page: Page) -> None:
    """What ended later still lasted then, and what began later is not known."""
    body = """
        const spans = new m.Spans();
        for (const [kind, from, to] of [["cut", 1, 2], ["away", 3, 8], ["hidden", 9, 10]]) {
            spans.open(kind, from);
            spans.close(kind, to);
        }
        return spans.until(5);
    """
    assert await run(page, "measure/spans", body) == [
        {"kind": "cut", "from": 1, "to": 2},
        {"kind": "away", "from": 3, "to": None},
    ]


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
    assert await run(page, "views/histogram_chart", body) == 1
