"""The figures of a panel."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.panel import FIGURE, NONE, Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAKEN = ("p50", "p95", "p99", "max", "jitter", "rate", "bytes")


FEW = {"p95": 20, "p99": 100}


async def test_every_figure_has_a_value_and_a_meaning(panel: Panel) -> None:
    """Percentiles, jitter, rate, bytes and reconnects come within seconds and explain themselves."""
    for name in TAKEN:
        await expect(panel.part(name)).to_have_text(NONE)
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
