"""Values, keys, times and texts that no one expects: each costs its own card at the most."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Locator, Page, WebSocketRoute, expect

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.browser.conftest import MARKUP, Serve
from tests.browser.modules import run
from tests.browser.panel import NONE
from tests.browser.view.conftest import OpenView, Publish

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = f"""
from rtdemo import producer

@producer(every=1, shared=True, title={MARKUP!r}, unit="<b>", low=0, high=1e-300)
def level():
    return 7.25
"""
TOO_LONG = "x" * 1024 * 1024
"""A value of 1 MiB: a message has 64 KiB at the most."""
TIMES = (1e12 * 1e300, 9e15, -9e15, 4e12)
"""Times of messages that no clock shows, and one of the future."""


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("article", name=title, exact=True)


async def feed(page: Page) -> WebSocketRoute:
    """Answer the page's WebSocket instead of the server, after a reload."""
    sockets: list[WebSocketRoute] = []

    def answer(socket: WebSocketRoute) -> None:
        sockets.append(socket)

    await page.route_web_socket("**/*", answer)
    await page.reload()
    while not sockets:
        await page.wait_for_timeout(10)
    return sockets[0]


def message(value: object, sent_at: object) -> str:
    """Write a shared message as the server does; infinity as `1e999`."""
    text = json.dumps({"message": "", "sentAt": sent_at, "producer": "x", "value": value, "id": "ff-1"})
    return text.replace("Infinity", "1e999")


async def test_value_of_1_mib_is_refused_and_the_longest_one_is_a_table(
    open_view: OpenView, publish: Publish, server: Server
) -> None:
    """The card has the first rows, and says that there are more."""
    page = await open_view()
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post("/api/publish", json={"producer": "long", "value": TOO_LONG})
    assert answer.status_code == 413
    await publish("long", list(range(5_000)))
    await expect(card(page, "long").locator("tr")).to_have_count(50)
    await expect(card(page, "long")).to_contain_text("4,950 more rows are not shown.")
    await publish("long", TOO_LONG[:30_000])
    await expect(card(page, "long").locator(".text")).to_have_text([f"{TOO_LONG[:500]}…"])


async def test_dict_of_500_keys(open_view: OpenView, publish: Publish) -> None:
    """Twelve have a line, and the rest is counted."""
    page = await open_view()
    await publish("wide", {f"k{index}": index for index in range(500)})
    await expect(card(page, "wide").get_by_role("listitem")).to_have_count(12)
    await expect(card(page, "wide")).to_contain_text("488 more keys are not shown.")


async def test_keys_that_change_with_each_message(open_view: OpenView, publish: Publish) -> None:
    """The first ones keep their lines, and have no value now."""
    page = await open_view()
    await publish("keys", *({f"k{index}": index, "same": index} for index in range(40)))
    items = card(page, "keys").get_by_role("listitem")
    await expect(items).to_have_count(12)
    await expect(items.first).to_have_text(f"k0{NONE}")
    await expect(items.filter(has_text="same")).to_have_text("same39")
    await expect(card(page, "keys")).to_contain_text("1 more key is not shown.")


async def test_dict_of_one_number_and_500_texts(open_view: OpenView, publish: Publish) -> None:
    """In a chart, the number has its line, twelve texts are beside it, and the rest is counted."""
    page = await open_view()
    wide = card(page, "wide")
    await publish("wide", {"same": 7})
    for prefix in "ab":
        texts = {f"{prefix}{index}": TOO_LONG[:100] for index in range(500)}
        await publish("wide", {"same": 7} | texts)
        await expect(wide.get_by_role("listitem")).to_have_count(13)
        await expect(wide.get_by_role("listitem").first).to_have_text("same7")
        await expect(wide.get_by_role("listitem").last).to_have_text(f"{prefix}11{TOO_LONG[:40]}…")
        await expect(wide).to_contain_text("488 more keys are not shown.")


async def test_times_that_no_clock_shows(open_view: OpenView) -> None:
    """A time of the future counts as now. The chart goes on, and can be read."""
    page = await open_view()
    socket = await feed(page)
    for number, at in enumerate(TIMES):
        socket.send(message(number, at))
    await expect(card(page, "x").locator(".number")).to_have_text("3")
    # Its name comes with its first drawing.
    await card(page, "x").get_by_role("group", name="Chart of x").focus()
    await page.keyboard.press("End")
    await expect(card(page, "x").locator(".readout")).to_contain_text("3")


async def test_infinity_is_a_gap(open_view: OpenView) -> None:
    """JSON can have one, as 1e999."""
    page = await open_view()
    socket = await feed(page)
    socket.send(message(1.5, 1_000))
    await expect(card(page, "x").locator(".number")).to_have_text("1.5")
    socket.send(message(float("inf"), 2_000))
    await expect(card(page, "x").locator(".number")).to_have_text(NONE)
    socket.send(message(2.5, 3_000))
    await expect(card(page, "x").locator(".number")).to_have_text("2.5")


async def test_hostile_names_keys_and_values(open_view: OpenView, publish: Publish) -> None:
    """They are text in every kind of card; a character that changes directions is shown by its code."""
    page = await open_view()
    await publish(MARKUP, {MARKUP: 1})
    await publish("text", f"{MARKUP}\u202e")
    await publish("table", [{MARKUP: MARKUP}], [MARKUP])
    await publish("mixed", {MARKUP: 1, "two": 2, "more": MARKUP}, {MARKUP: f"\u202e{MARKUP}"})
    await publish(("a name of many words " * 4).strip(), 1)
    await expect(page.get_by_role("article")).to_have_count(5)
    cut = f"'[U+202E]{MARKUP}"[:40]
    await expect(card(page, "mixed").locator(".undrawn")).to_contain_text(cut)
    await expect(card(page, "text").locator(".text")).to_have_text([f"{MARKUP}[U+202E]"])
    await injected_nothing(page)


async def test_hostile_titles_units_and_bounds(
    open_view: OpenView, serve: Serve, clock: VirtualClock, tmp_path: Path
) -> None:
    """The server refuses a title that is not printable, and the page shows markup as text."""
    plugin = tmp_path / "hostile.py"
    plugin.write_text(HOSTILE)
    served = await serve(files=(plugin,), clock=clock)
    page = await open_view(server=served)
    clock.advance(1)
    await expect(page.locator(".card h2")).to_have_text(MARKUP)
    await expect(page.locator(".figure")).to_have_text("7.25 <b>")
    await injected_nothing(page)


async def injected_nothing(page: Page) -> None:
    """Check that no markup became elements, and that nothing is wider than the page."""
    assert await page.evaluate("document.images.length + ('injected' in window ? 1 : 0)") == 0
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_combining_characters_do_not_paint_over_other_texts(
    open_view: OpenView, publish: Publish
) -> None:
    """Anyone who may send texts to everyone could cross out those of others."""
    # Before the page: a description that comes later would write the card's texts again.
    await publish("note", "Z", "one", "two")
    page = await open_view()
    texts = page.locator(".text")
    await expect(texts).to_have_text(["two", "one", "Z"])
    before = await texts.nth(1).screenshot()
    await page.evaluate(
        "document.querySelector('li:last-child > .text').textContent += '\\u0301'.repeat(300)"
    )
    await expect(texts.last).to_have_text("Z" + 300 * "\u0301")
    assert await texts.nth(1).screenshot() == before


@pytest.mark.empty_page
async def test_text_that_is_nearly_a_number_costs_no_time(page: Page) -> None:
    """A search for the ends of its blanks took seconds a message: for these, it would take an hour."""
    shown = await run(
        page,
        "view/bodies",
        """
        const { ProducerData } = await import("/static/view/producer_data.js");
        const blanks = " ".repeat(1_000_000);
        return [`${blanks}x`, `1${blanks}x`, `1${blanks}e5${blanks}x`, `1e5${blanks}`].map((text) => {
            const data = new ProducerData("x");
            data.take({ message: "", value: { a: 1, b: text }, sentAt: 5, id: null }, 5);
            const body = m.BODIES.lines({ announce: () => {}, changed: () => {} });
            body.write(data, { edge: 6, seconds: 60 });
            return body.elements[0].lastElementChild.lastElementChild.textContent.trim().slice(0, 4);
        });
        """,
    )
    assert shown == ["…", "1   ", "1   ", "'1e5"]
