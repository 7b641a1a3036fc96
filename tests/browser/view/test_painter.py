"""When cards are painted: few of them a frame, some times a second, and seldom with reduced motion."""

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
    globalThis.painter = new m.Painter(() => [..."abcdefghij"].map(card), () => ({}));
"""


@pytest.mark.parametrize(("motion", "paintings"), [("no-preference", 5), ("reduce", 1)])
async def test_paintings_in_a_second(
    page: Page, motion: Literal["no-preference", "reduce"], paintings: int
) -> None:
    """However often they are requested. A frame has up to four texts, or one chart."""
    await page.emulate_media(reduced_motion=motion)
    await run(page, "view/painter", PAINTER)
    await stop_clock(page)
    await page.evaluate("setInterval(() => painter.request(), 10)")
    await page.evaluate("(function mark() { calls.push('|'); requestAnimationFrame(mark); })()")
    await page.clock.run_for(1_000)
    calls: list[str] = await page.evaluate("calls")
    assert calls.count("write a") == paintings
    for frame in ",".join(calls).split("|"):
        kinds = [call.split()[0] for call in frame.split(",") if call]
        assert kinds in ([], ["draw"], ["write"] * 2, ["write"] * 4)
    painted = [call for call in calls if call != "|"]
    expected = []
    for names in ("abcd", "efgh", "ij"):
        expected += [f"write {name}" for name in names]
        expected += [f"draw {name}" for name in names if name != "b"]
    assert painted[: len(expected)] == expected
