"""Letters of double size, a zoom of 200 %, the narrowest phone, and long names: all can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Open, Serve
from tests.browser.panel import Panel
from tests.browser.producers_section import ProducersSection

pytestmark = pytest.mark.asyncio(loop_scope="session")

OVERLAPS = """() => {
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const range = document.createRange();
        range.selectNodeContents(walker.currentNode);
        // Rows of messages are cut off until they have the focus.
        const hidden = ".log li, .visually-hidden, .announcement, .skip, .send label, noscript";
        if (element.closest(hidden) || !element.checkVisibility()) continue;
        const text = walker.currentNode.textContent.trim();
        if (text !== "") for (const box of range.getClientRects()) texts.push({ text, box });
    }
    const covers = (one, other) =>
        Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2 &&
        Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 5;
    return texts.flatMap((one, index) =>
        texts.slice(index + 1)
            .filter((other) => other.text !== one.text && covers(one.box, other.box))
            .map((other) => `${one.text} | ${other.text}`));
}"""
NAME = "n" * 300
LONG = f"""
from rtdemo import producer

@producer(every=1, name="{NAME}")
def long():
    return "from afar"
"""


@pytest.mark.parametrize(
    ("width", "height", "size"), [(1280, 900, 200), (640, 450, 100), (390, 844, 200), (320, 800, 100)]
)
async def test_no_text_is_covered_or_cut(open_page: Open, width: int, height: int, size: int) -> None:
    """A zoom of 200 % leaves 640 by 450 of 1280 by 900 pixels; `size` enlarges letters, per cent."""
    page = await open_page(viewport={"width": width, "height": height})
    await page.evaluate(f"() => {{ document.documentElement.style.fontSize = '{size}%'; }}")
    for side in ("websocket", "sse"):
        await Panel(page, side).connect()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    # Further down the answer stays in view, over other parts.
    await page.evaluate("scrollTo(0, 0)")
    assert await page.evaluate(OVERLAPS) == []


COVERED = """async () => {
    scrollTo(0, document.body.scrollHeight);
    await new Promise(requestAnimationFrame);
    const at = (y) => document.elementFromPoint(innerWidth / 2, y)?.closest(".scoreboard");
    let y = 0;
    while (y < innerHeight && at(y)) y += 1;
    return y / innerHeight;
}"""
"""The share of the window that the top part covers at the page's end."""


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 900), (1280, 600), (640, 450), (390, 700), (844, 390), (320, 640)]
)
async def test_answer_leaves_most_of_a_window(open_page: Open, width: int, height: int) -> None:
    """Also with the explanations, which fill a low window."""
    page = await open_page(viewport={"width": width, "height": height})
    shares = [await page.evaluate(COVERED)]
    await page.get_by_role("button", name="Explain the words").click()
    shares.append(await page.evaluate(COVERED))
    assert max(shares) <= 0.3


WIDTHS = """[...document.querySelectorAll(".explanation")]
    .filter((each) => each.checkVisibility())
    .map((each) => each.getBoundingClientRect().width)"""
"""Widths of the explanations that are shown."""


@pytest.mark.parametrize("width", [390, 320])
async def test_explanations_have_most_of_a_phones_width(open_page: Open, width: int) -> None:
    """In a column of a table, they would be cut into letters."""
    page = await open_page(viewport={"width": width, "height": 800})
    await page.get_by_role("button", name="Explain the words").click()
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    widths = await page.evaluate(WIDTHS)
    assert len(widths) > 20
    assert min(widths) > 0.6 * width
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.evaluate("scrollTo(0, 0)")
    assert await page.evaluate(OVERLAPS) == []


async def test_long_name_can_be_read(open_page: Open, serve: Serve, tmp_path: Path) -> None:
    """The table of producers has all of it, on several lines; a row of a message has its start."""
    plugin = tmp_path / "long.py"
    plugin.write_text(LONG)
    page = await open_page(server=await serve(files=(plugin,)), viewport={"width": 390, "height": 844})
    name = ProducersSection(page).row(NAME[:80]).locator('[data-part="name"]')
    await expect(name).to_have_text(NAME)
    assert await name.evaluate("(name) => name.scrollWidth <= name.clientWidth")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
