"""Forced colours, such as a contrast theme of Windows: backgrounds vanish, states stay visible."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")

STYLE = """(element, { properties, state }) => {
    // At once: the page writes the true state again at its next painting.
    if (state !== null) element.closest(".panel").dataset.state = state;
    const style = getComputedStyle(element);
    return properties.map((name) => style.getPropertyValue(name));
}"""
STATES = ("idle", "connected", "reconnecting", "stalled")


@pytest_asyncio.fixture(loop_scope="session")
async def forced(open_page: Open) -> Page:
    """The page with forced colours."""
    return await open_page(forced_colors="active")


async def style(page: Page, selector: str, *properties: str, state: str | None = None) -> list[str]:
    """Return the computed values of an element's properties, in a state of its panel."""
    given = {"properties": properties, "state": state}
    return list(await page.locator(selector).first.evaluate(STYLE, given))


async def test_each_state_has_a_dot_of_its_own(forced: Page) -> None:
    """A ring is not connected, a disc is, an open ring turns, a square needs attention."""
    names = ("background-color", "border-right-color", "border-radius")
    looks = [tuple(await style(forced, ".panel .dot", *names, state=state)) for state in STATES]
    assert len(set(looks)) == len(STATES)


async def test_pressed_and_disabled_buttons_differ(forced: Page) -> None:
    """By their colours, as nothing else tells them apart."""
    names = ("color", "background-color")
    plain = await style(forced, '[data-part="window-600"]', *names)
    pressed = await style(forced, '[data-part="window-60"]', *names)
    assert pressed[1] != plain[1]
    assert pressed[0] != pressed[1]
    assert await style(forced, '[aria-disabled="true"]', "color") != plain[:1]


async def test_progress_is_visible(forced: Page) -> None:
    """It has an edge, and the browser leaves the bar's own colour, which scripts cannot read."""
    assert await style(forced, "progress", "border-top-width", "forced-color-adjust") == ["1px", "none"]


async def test_charts_have_the_colours_of_the_reader(forced: Page) -> None:
    """A canvas is not changed by the browser."""
    assert await style(forced, "canvas", "--paper", "--quiet") == ["Canvas", "CanvasText"]
    assert await style(forced, "canvas", "--websocket") != await style(forced, "canvas", "--sse")


async def test_focus_is_visible(forced: Page) -> None:
    """An outline stays."""
    await forced.keyboard.press("Tab")
    await expect(forced.locator(":focus-visible")).to_have_css("outline-width", "2px")
