"""A card per producer, by the kind of its values, from the first paint on and live."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from rtdemo.server.server import Server
from tests.browser.conftest import Open, Serve
from tests.browser.modules import run
from tests.browser.panel import NONE
from tests.browser.view.conftest import OpenView, Publish

FAILS = """
from rtdemo import producer

@producer(every=1, shared=True)
def readings():
    raise RuntimeError("<b>no sensor")
"""
MINUS = "\N{MINUS SIGN}"
pytestmark = pytest.mark.asyncio(loop_scope="session")


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("article", name=title, exact=True)


async def test_first_value_appears_live(open_view: OpenView, publish: Publish, server: Server) -> None:
    """Before it, the page shows how to publish one to this server."""
    page = await open_view()
    empty = page.locator('[data-part="empty"]')
    await expect(empty).to_contain_text(f'rtdemo.publish("loss", 0.12, url="{server.web_url}")')
    await publish("loss", 0.12)
    await expect(card(page, "loss").locator(".number")).to_have_text("0.12")
    await expect(empty).to_be_hidden()


async def test_producer_that_fails_is_named(open_view: OpenView, serve: Serve, tmp_path: Path) -> None:
    """With its last error, which this reader may see; what it publishes otherwise is shown below."""
    plugin = tmp_path / "fails.py"
    plugin.write_text(FAILS)
    page = await open_view(server=await serve(files=(plugin,)))
    failing = page.locator('[data-part="failing"]')
    await expect(failing).to_have_text("readings fails: RuntimeError: <b>no sensor.")
    assert await failing.locator("b").count() == 0


async def test_card_of_a_mistake_is_hidden(open_view: OpenView, publish: Publish) -> None:
    """Also for values that arrive later."""
    await publish("typo", 1)
    page = await open_view("?without=typo")
    await publish("typo", 2)
    await publish("loss", 0.12)
    await expect(card(page, "loss")).to_be_visible()
    await expect(page.get_by_role("article")).to_have_count(1)


@pytest.mark.empty_page
async def test_program_to_copy_names_the_server(page: Page) -> None:
    """With its base path, unless a program finds it without."""
    found = await run(
        page,
        "view/address",
        """
        const calls = (href) => m.snippet(href).split("\\n").at(-1);
        return ["http://localhost:3000/view", "http://127.0.0.1:3000/view?window=60", "http://localhost:4340/view",
                "http://localhost:3000/live/view", "https://host.example/view"].map(calls);
        """,
    )
    assert found == [
        'rtdemo.publish("loss", 0.12)',
        'rtdemo.publish("loss", 0.12)',
        'rtdemo.publish("loss", 0.12, url="http://localhost:4340")',
        'rtdemo.publish("loss", 0.12, url="http://localhost:3000/live")',
        'rtdemo.publish("loss", 0.12, url="https://host.example")',
    ]


async def test_late_visitor_sees_the_past(open_view: OpenView, publish: Publish) -> None:
    """A number has its change since the start of the window; nothing is counted twice."""
    await publish("loss", 3, 2.5, 1)
    page = await open_view()
    await expect(card(page, "loss").locator(".number")).to_have_text("1.0")
    await expect(card(page, "loss").locator(".change")).to_contain_text(f"{MINUS}2.0 in")
    chart = card(page, "loss").get_by_role("group", name="Chart of loss")
    await chart.focus()
    await page.keyboard.press("End")
    await expect(page.locator('[data-part="readout"]')).to_contain_text("1.0")


async def test_each_kind_has_its_card(open_view: OpenView, publish: Publish) -> None:
    """A dict of numbers, a bool, a text, and anything else."""
    page = await open_view()
    await publish("cpu", {"user": 12.5, "system": 3})
    await publish("door", False, True)
    await publish("note", "first", "second")
    await publish("rows", [{"pid": 7, "name": "a"}])
    await expect(card(page, "cpu").get_by_role("listitem")).to_have_text(["user12.5", "system3"])
    await expect(card(page, "door").locator(".number")).to_have_text("true")
    await expect(card(page, "note").locator(".text")).to_have_text(["second", "first"])
    await expect(card(page, "rows").locator("tr")).to_have_text(["pidname", "7a"])


async def test_kind_changes_while_it_runs(open_view: OpenView, publish: Publish) -> None:
    """The card follows. A text among numbers leaves their chart, and is named there."""
    page = await open_view()
    await publish("x", "broken")
    await expect(card(page, "x").locator(".text")).to_have_text(["broken"])
    await publish("x", 5)
    await expect(card(page, "x").locator(".number")).to_have_text("5")
    await publish("x", "n/a")
    note = card(page, "x").locator(".undrawn")
    await expect(note).to_have_text("'n/a' is a text: not drawn.")
    await expect(card(page, "x").locator(".number")).to_have_text(NONE)
    await publish("x", 8)
    await expect(card(page, "x").locator(".change")).to_contain_text("+3 in")
    await expect(note).to_be_visible()
    await publish("x", [{"pid": 7}])
    await expect(card(page, "x").locator("tr")).to_have_text(["pid", "7"])


async def test_texts_beside_numbers_have_no_line(open_view: OpenView, publish: Publish) -> None:
    """If most of a dict are numbers, they are drawn, and the rest of it is shown in the legend."""
    await publish("order", {"id": 7, "state": "new", "items": [1]})
    await publish("air", {"temp": 20, "co2": 400, "hum": "50,1", "on": True, "at": {"x": 1}})
    page = await open_view()
    air = card(page, "air")
    await expect(air.get_by_role("group", name="Chart of air")).to_be_visible()
    shown = ["temp20", "co2400", "hum'50,1'", "ontrue", 'at{"x":1}']
    await expect(air.get_by_role("listitem")).to_have_text(shown)
    await expect(air.locator(".swatch:visible")).to_have_count(2)
    await expect(card(page, "order").locator("tr")).to_have_text(["id7", "statenew", "items[1]"])
    await expect(air.locator(".undrawn")).to_be_hidden()
    await publish("air", {"temp": 21, "co2": 401, "hum": 50.5})
    await expect(air.get_by_role("listitem")).to_have_text(["temp21", "co2401", "hum50.5"])
    await publish("air", {"temp": "off", "co2": 402, "hum": "n/a"})
    await expect(air.get_by_role("listitem")).to_have_text(["tempoff", "co2402", "humn/a"])
    await expect(air.locator(".undrawn")).to_have_text("'n/a' under 'hum' is a text: not drawn.")
    texts = ["7", " ", "", "1e5", "1,234,567", "\N{MINUS SIGN}3", "\N{EN DASH}", "true", "2 h", "e5"]
    await publish("air", {"co2": 403} | {f"k{index}": text for index, text in enumerate(texts)})
    shown = [f"'{text}'" for text in texts[:8]] + texts[8:]
    items = ["temp\N{EN DASH}", "co2403", "hum\N{EN DASH}"]
    items += [f"k{index}{text}" for index, text in enumerate(shown)]
    await expect(air.get_by_role("listitem")).to_have_text(items)
    await publish("words", {"temp": "off"})
    await expect(card(page, "words").locator("tr")).to_have_text(["tempoff"])


async def test_picked_producers_and_layout_of_the_address(open_view: OpenView, publish: Publish) -> None:
    """Their order is that of the address; a window that is chosen is written into it."""
    for name in ("a", "b", "c"):
        await publish(name, 1)
    page = await open_view("?producers=c,a&window=60&columns=2&bare=1")
    await expect(page.locator(".card h2")).to_have_text(["c", "a"])
    await expect(page.locator(".masthead h1")).to_have_css("width", "1px")
    columns = await page.locator(".cards").evaluate("(e) => getComputedStyle(e).gridTemplateColumns")
    assert len(columns.split()) == 2


async def test_choices_of_the_toolbar_are_in_the_address(open_view: OpenView, publish: Publish) -> None:
    """More of the past is loaded at once; columns are fewer where they would be too narrow."""
    for name in ("a", "b", "c"):
        await publish(name, 1)
    page = await open_view("?producers=c,a,b&window=60")
    await page.get_by_role("button", name="1 h", exact=True).click()
    await page.get_by_label("Columns").select_option("3")
    assert page.url.endswith("/view?producers=c,a,b&window=3600&columns=3")
    await expect(page.locator(".number")).to_have_text(["1", "1", "1"])
    grid = page.locator(".cards")
    for width, number in ((1280, 3), (390, 2)):
        await page.set_viewport_size({"width": width, "height": 844})
        columns = await grid.evaluate("(e) => getComputedStyle(e).gridTemplateColumns")
        assert len(columns.split()) == number, width
    await page.get_by_label("Columns").select_option("Auto")
    assert page.url.endswith("/view?producers=c,a,b&window=3600")


async def test_few_cards_fill_the_window(open_view: OpenView, publish: Publish) -> None:
    """A low one too: one card has all of it, and two have half of its width each."""
    await publish("a", 1)
    page = await open_view()
    grid = page.locator(".cards")
    parts = """(grid) => {
        const { width, height } = grid.getBoundingClientRect();
        const first = grid.firstElementChild.getBoundingClientRect();
        return [width / first.width, height / first.height];
    }"""
    for count, name in enumerate(("a", "b"), start=1):
        await publish(name, 1)
        await expect(page.locator(".card")).to_have_count(count)
        for height in (500, 700):
            await page.set_viewport_size({"width": 1000, "height": height})
            columns, rows = await grid.evaluate(parts)
            assert round(columns, 1) == pytest.approx(count, abs=0.15), height
            assert rows == pytest.approx(1, abs=0.01), height
            bottom = await grid.evaluate("(grid) => grid.getBoundingClientRect().bottom")
            assert height - 40 < bottom <= height


def columns_css(number: int) -> re.Pattern[str]:
    """Return what `grid-template-columns` is for some columns: their widths."""
    return re.compile(rf"^\S+( \S+){{{number - 1}}}$")


async def test_rows_have_equally_many_cards(open_view: OpenView, publish: Publish) -> None:
    """As far as that goes, and in the best shape that fits the window."""
    for name in "abcdefg":
        await publish(name, 1)
    page = await open_view("?producers=a,b,c,d")
    grid = page.locator(".cards")

    async def expect_columns(number: int) -> None:
        await expect(grid).to_have_css("grid-template-columns", columns_css(number))

    for names, width, height, expected in (
        ("a,b,c,d", 1280, 800, 2),
        ("a,b,c,d", 1900, 800, 2),
        ("a,b,c,d", 1900, 500, 4),
        ("a,b,c,d,e", 1280, 800, 3),
        ("a,b,c,d,e,f,g", 1900, 800, 4),
        ("a,b,c", 700, 800, 1),
        ("a,b,c,d,e,f", 2560, 1440, 3),
    ):
        await page.set_viewport_size({"width": width, "height": height})
        await page.goto(f"{page.url.partition('?')[0]}?producers={names}")
        await expect(page.locator(".card")).to_have_count(len(names.split(",")))
        await expect_columns(expected)
    await page.set_viewport_size({"width": 2560, "height": 600})
    await expect_columns(6)
    await page.goto(f"{page.url.partition('?')[0]}?producers=a,b,c")
    await page.set_viewport_size({"width": 1900, "height": 800})
    await expect_columns(3)
    await publish("c", 2)
    await page.get_by_role("button", name="Hide c").click()
    await expect_columns(2)


async def test_high_cards_get_no_further_row(open_view: OpenView, publish: Publish) -> None:
    """With eight bands each, a second row would not fit into the window."""
    for name in "abcdef":
        await publish(name, {f"key{number}": 10**number for number in range(8)})
    page = await open_view("?lines=apart", viewport={"width": 2560, "height": 870})
    await expect(page.locator(".card canvas")).to_have_count(6)
    await expect(page.locator(".cards")).to_have_css("grid-template-columns", columns_css(6))
    await page.set_viewport_size({"width": 2560, "height": 1440})
    await expect(page.locator(".cards")).to_have_css("grid-template-columns", columns_css(3))


@pytest.mark.empty_page
async def test_columns_are_those_of_the_best_shape(page: Page) -> None:
    """As few rows as there can be, except where all cards are seen without scrolling."""
    body = """
        const room = { width: 2500, height: 1300, most: 6, row: 248 };
        const phone = { width: 358, height: 700, most: 1, row: 248 };
        const low = { ...room, height: 400 };
        const counts = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 40];
        return [room, phone, low].map((each) => counts.map((count) => m.fittingColumns(count, each)));
    """
    assert await run(page, "view/cards", body) == [
        [1, 1, 2, 3, 2, 3, 3, 4, 4, 4, 5, 6],
        [1] * 12,
        [1, 1, 2, 3, 4, 5, 6, 4, 4, 6, 5, 6],
    ]


async def test_title_of_a_narrow_card_has_its_whole_line(open_view: OpenView, publish: Publish) -> None:
    """How old a value is stands below it; in a wide card, beside it."""
    for name in ("temperature", "x"):
        await publish(name, 1)
    page = await open_view("?columns=2")
    for width, is_below in ((1280, False), (390, True)):
        await page.set_viewport_size({"width": width, "height": 844})
        title, age = await card(page, "temperature").evaluate(
            """(card) => {
                const age = card.querySelector(".age");
                age.textContent = "stale: 10 min ago";
                const parts = [card.querySelector("h2"), age];
                return parts.map((each) => each.getBoundingClientRect().toJSON());
            }"""
        )
        assert title["height"] < 30, width
        assert (age["top"] >= title["bottom"]) == is_below, width


async def test_older_values_that_are_not_kept_are_said(
    open_view: OpenView, publish: Publish, serve: Serve
) -> None:
    """Where the log begins within the time that the charts show."""
    small = await serve(history_count=3)
    await publish("loss", 1, 2, server=small)
    page = await open_view(server=small)
    kept = page.locator('[data-part="kept"]')
    await expect(page.locator(".number")).to_have_text("2")
    await expect(kept).to_be_empty()
    await publish("loss", 3, 4, server=small)
    await page.reload()
    await expect(kept).to_have_text(re.compile(r"Values before \d\d:\d\d:\d\d are no longer kept\."))


async def test_without_javascript_it_is_a_table(
    open_page: Open, server: Server, publish: Publish
) -> None:
    """The server has written it."""
    await publish("loss", 0.12)
    page = await open_page(
        "/view", server=server, sentence=".first", folded=True, java_script_enabled=False
    )
    await expect(page.get_by_role("row")).to_have_count(2)
    await expect(page.get_by_role("cell").first).to_have_text("0.12")
    await expect(page.get_by_role("columnheader").first).to_be_visible()


async def test_pause_and_full_screen(open_view: OpenView, publish: Publish) -> None:
    """A card fills the screen, and Escape leaves it; paused charts have the time of the pause."""
    await publish("loss", 0.12)
    page = await open_view()
    await page.get_by_role("button", name="Full screen: loss").click()
    await expect(page.locator(".card:fullscreen")).to_have_count(1)
    await expect(page.locator(".card:fullscreen").get_by_role("button")).to_have_accessible_name(
        "Exit full screen: loss"
    )
    await page.evaluate("document.exitFullscreen()")
    await expect(page.get_by_role("button", name="Full screen: loss", exact=True)).to_be_visible()
    pause = page.get_by_role("button", name="Pause")
    await pause.click()
    await expect(page.get_by_role("button", name="Resume")).to_be_visible()
    await publish("loss", 0.5)
    await expect(card(page, "loss").locator(".number")).to_have_text("0.50")
