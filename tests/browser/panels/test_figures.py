"""The figures of a panel."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from rtdemo.server.server import Server
from tests.browser.conftest import Open
from tests.browser.panel import FIGURE, NONE, Panel, clock_is_known, stay_awake

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAKEN = ("p50", "p95", "p99", "max", "jitter", "rate", "bytes")


FEW = {"p95": 20, "p99": 100}


async def test_every_figure_has_a_value_and_a_meaning(panel: Panel) -> None:
    """Percentiles, jitter, rate, bytes and reconnects come within seconds and explain themselves."""
    for name in TAKEN:
        await expect(panel.part(name)).to_have_text(NONE)
    await stay_awake(panel.page)
    await clock_is_known(panel.page)
    await panel.connect()
    await panel.received(4)
    for name in TAKEN:
        if name not in FEW:
            await expect(panel.part(name)).to_have_text(FIGURE)
    for name, needed in FEW.items():
        await expect(panel.part(name)).to_have_text(NONE)
        await expect(panel.part(f"{name}-note")).to_have_text(f"needs {needed}")
    await expect(panel.part("reconnects")).to_have_text("0")
    await expect(panel.part("lost")).to_have_text("0 lost, 0 repeated, 0 out of order")
    await expect(panel.part("left-out")).to_have_text("none")
    for name in (*TAKEN, "reconnects", "parts", "lost", "left-out"):
        term = panel.page.locator(f'[aria-describedby="figure-{name}-explanation"]')
        await expect(term).to_have_accessible_description(re.compile(r"^[A-Z0-9].{25,}\.$"))


async def test_a_percentile_of_few_messages_is_marked_as_rough(open_page: Open, flooded: Server) -> None:
    """p99 is settled where the headline compares it, in the table as above."""
    page = await open_page(server=flooded)
    sides = [Panel(page, side) for side in ("websocket", "sse")]
    p99, note = sides[0].part("p99"), sides[0].part("p99-note")
    above = page.locator('[data-part="websocket-p99"]')
    charts = page.locator('canvas[aria-label^="WebSocket latency"]')
    for side in sides:
        await side.connect_and_flood(150)
        await side.press("Disconnect")
    await expect(p99).to_have_text(FIGURE)
    await expect(p99).to_have_class(re.compile("quiet"))
    await expect(note).to_have_text(re.compile("rough until 1,000$"))
    await expect(above).to_have_class(re.compile("quiet"))
    await expect(charts).not_to_have_attribute("aria-label", re.compile("p99"))
    for side in sides:
        await side.connect_and_flood(1_050)
    await expect(p99).not_to_have_class(re.compile("quiet"))
    await expect(note).not_to_have_text(re.compile("rough"))
    await expect(above).to_have_text(re.compile("ms$"))
    await expect(page.locator('[data-part="verdict-note"]')).not_to_contain_text("p99 needs")
    await expect(charts).to_have_attribute("aria-label", re.compile("p99"))
