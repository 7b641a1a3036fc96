"""When cards are painted: texts before charts, some times a second, and seldom with reduced motion."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.modules import run, stop_clock

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.empty_page]

TWO_CARDS = """
    const calls = [];
    const card = (name) => ({
        write: () => calls.push(`write ${name}`),
        draw: () => calls.push(`draw ${name}`),
    });
    const painter = new m.Painter(() => [card("a"), card("b")], () => ({}));
    const until = performance.now() + %d;
    while (performance.now() < until) {
        painter.request();
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return calls;
"""


@pytest.mark.parametrize(("motion", "paintings"), [("no-preference", 5), ("reduce", 1)])
async def test_paintings_in_a_second(page: Page, motion: str, paintings: int) -> None:
    """However often they are requested; the charts of all cards follow the texts of all."""
    await page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]  # a parameter
    await page.clock.install(time=0)
    await page.clock.pause_at(1_000)
    task = run(page, "view/painter", TWO_CARDS % 990)
    found = await with_time(page, task)
    assert found[:4] == ["write a", "write b", "draw a", "draw b"]
    assert len(found) == 4 * paintings
