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


BROKEN = """() => {
    const found = [];
    const differences = [...document.querySelectorAll(".scoreboard tbody .difference")];
    for (const each of differences) each.textContent = "WebSocket 7 B less";
    const cells = [...document.querySelectorAll("main .term, .figure-table thead th"), ...differences];
    for (const { firstChild: text } of cells) {
        for (const { index, 0: word } of text.data.matchAll(/\\S+/g)) {
            const range = document.createRange();
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) found.push(word);
        }
    }
    return found;
}"""
"""Words of the terms, of a table's head, and of a difference, that are on more than one line."""


@pytest.mark.parametrize("width", [390, 320, 300])
async def test_no_word_of_a_table_is_broken(open_page: Open, width: int) -> None:
    """Its columns are wide enough for their longest words, also beside a scroll bar of 20 pixels."""
    page = await open_page(viewport={"width": width, "height": 800})
    assert await page.evaluate(BROKEN) == []


async def test_explanations_of_the_producers_have_several_words_a_line(open_page: Open) -> None:
    """Those in the head are as wide as the columns, which are narrow for figures alone."""
    page = await open_page(viewport={"width": 1280, "height": 900})
    await page.get_by_role("button", name="Explain the words").click()
    assert min(await page.evaluate(WIDTHS)) > 130


async def test_sides_are_level_on_a_phone(open_page: Open) -> None:
    """One name has two lines, the other one."""
    page = await open_page(viewport={"width": 390, "height": 844})
    states = page.locator(".panel .state")
    tops = await states.evaluate_all("(all) => all.map((each) => each.getBoundingClientRect().top)")
    assert len(tops) == 2
    assert tops[0] == tops[1]


ROOM = """([name, text]) => {
    const element = document.querySelector(`.panel.websocket .log ${name}`);
    element.textContent = text;
    const range = document.createRange();
    range.selectNodeContents(element);
    return element.clientWidth - range.getBoundingClientRect().width;
}"""
"""What a text leaves of the width."""


@pytest.mark.parametrize(
    ("width", "name", "text"),
    [(390, ".text", "WebSocket Message 999"), (1024, ".producer", "broadcast")],
)
async def test_row_of_a_built_in_message_is_whole(
    open_page: Open, width: int, name: str, text: str
) -> None:
    """Longer ones have their start. Letters are wider in other browsers."""
    page = await open_page(viewport={"width": width, "height": 844})
    assert await page.evaluate(ROOM, [name, text]) > 2


LABELS = """async () => {
    const cut = [];
    const { fillText } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        const [whole, part] = [this.measureText(text).width, { left: 0, center: 0.5, right: 1 }];
        const right = x + whole * (1 - part[this.textAlign]);
        if (right > this.canvas.clientWidth + 1) cut.push(text);
        fillText.call(this, text, x, y);
    };
    dispatchEvent(new Event("resize"));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return cut;
}"""
"""Labels of charts that do not fit."""


async def test_label_of_the_clocks_error_fits_a_narrow_chart(open_page: Open) -> None:
    """In Firefox a phone of 320 pixels has 82 of them for the plot, of which a scroll bar takes some."""
    page = await open_page(viewport={"width": 300, "height": 800})
    await Panel(page, "sse").connect()
    await page.get_by_text("known to").wait_for()
    assert await page.evaluate(LABELS) == []


async def test_long_name_can_be_read(open_page: Open, serve: Serve, tmp_path: Path) -> None:
    """The table of producers has all of it, on several lines; a row of a message has its start."""
    plugin = tmp_path / "long.py"
    plugin.write_text(LONG)
    page = await open_page(server=await serve(files=(plugin,)), viewport={"width": 390, "height": 844})
    name = ProducersSection(page).row(NAME[:80]).locator('[data-part="name"]')
    await expect(name).to_have_text(NAME)
    assert await name.evaluate("(name) => name.scrollWidth <= name.clientWidth")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
