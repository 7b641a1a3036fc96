"""When cards are painted: few of them a frame, some times a second, and seldom with reduced motion."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Page

from tests.browser.modules import run, stop_clock

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]

NAMES = "abcdefghij"
DRAWN = "acdefghij"
"""All but one have changed charts."""
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
    """However often they are requested. Each frame has eight texts at the most, and then two charts."""
    await page.emulate_media(reduced_motion=motion)
    await run(page, "view/painter", PAINTER)
    await stop_clock(page)
    await page.evaluate("setInterval(() => painter.request(), 10)")
    await page.evaluate("(function mark() { calls.push('|'); requestAnimationFrame(mark); })()")
    await page.clock.run_for(1_000)
    calls: list[str] = await page.evaluate("calls")
    assert calls.count("write a") == paintings
    frames = [frame.split(",") for frame in ",".join(calls).split("|")]
    for frame in frames:
        kinds = [call.split()[0] for call in frame if call]
        assert kinds == sorted(kinds, reverse=True)
        assert kinds.count("write") <= 8
        assert kinds.count("draw") <= 2
    painted = [call for call in calls if call != "|"]
    first = painted[: len(NAMES) + len(DRAWN)]
    assert [call for call in first if "write" in call] == [f"write {name}" for name in NAMES]
    assert [call for call in first if "draw" in call] == [f"draw {name}" for name in DRAWN]
