"""When cards are painted: texts before charts, some times a second, and seldom with reduced motion."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Page

from tests.browser.modules import run, stop_clock

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]

PAINTER = """
    globalThis.calls = [];
    const card = (name) => ({
        write: () => calls.push(`write ${name}`),
        draw: () => name !== "b" && calls.push(`draw ${name}`) > 0,
    });
    globalThis.painter = new m.Painter(() => [..."abcdef"].map(card), () => ({}));
"""


@pytest.mark.parametrize(("motion", "paintings"), [("no-preference", 5), ("reduce", 1)])
async def test_paintings_in_a_second(
    page: Page, motion: Literal["no-preference", "reduce"], paintings: int
) -> None:
    """However often they are requested. Texts come first, and few charts that changed a frame."""
    await page.emulate_media(reduced_motion=motion)
    await run(page, "view/painter", PAINTER)
    await stop_clock(page)
    await page.evaluate("setInterval(() => painter.request(), 10)")
    await page.clock.run_for(75)
    calls = await page.evaluate("calls")
    assert calls == [f"write {name}" for name in "abcdef"] + [f"draw {name}" for name in "acde"]
    await page.clock.run_for(925)
    calls = await page.evaluate("calls")
    assert calls[10] == "draw f"
    assert calls.count("write a") == paintings
