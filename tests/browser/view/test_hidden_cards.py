"""A card's button hides it, and the address with it; one of the toolbar brings all back."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, WebSocket, expect

from tests.browser.conftest import MARKUP, Serve
from tests.browser.modules import run
from tests.browser.view.conftest import OpenView, Publish
from tests.browser.view.test_cards import FAILS

LONG = "\N{LEVEL SLIDER}" * 100
"""A name of 100 characters, the most, which takes 1,200 in an address."""
HOSTILE = (MARKUP, "a%2Cb%", "a&window=60#+ c", LONG)
pytestmark = pytest.mark.asyncio(loop_scope="session")


def titles(page: Page) -> Locator:
    return page.locator(".card h2")


def hide(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=f"Hide {name}", exact=True)


def show(page: Page) -> Locator:
    return page.locator('[data-part="show"]')


async def test_hidden_and_shown_again(open_view: OpenView, publish: Publish) -> None:
    """By keyboard. What returns has its past without another connection, also after a reload."""
    await publish("loss", 1)
    await publish("typo", 3, 5)
    page = await open_view()
    await expect(show(page)).to_be_hidden()
    opened: list[WebSocket] = []
    page.on("websocket", lambda socket: opened.append(socket))
    await hide(page, "typo").press("Enter")
    await expect(titles(page)).to_have_text(["loss"])
    assert page.url.endswith("/view?without=typo")
    await expect(show(page)).to_be_focused()
    await publish("typo", 8)
    await publish("loss", 2)
    await expect(page.locator(".number")).to_have_text(["2"])
    assert opened == []
    await page.reload()
    await expect(titles(page)).to_have_text(["loss"])
    await expect(show(page)).to_have_text("Show hidden")
    await publish("typo", 9)
    await publish("loss", 3)
    await expect(page.locator(".number")).to_have_text(["3"])
    opened.clear()
    await show(page).press("Enter")
    await expect(page.locator(".number")).to_have_text(["3", "9"])
    await expect(page.locator(".change").last).to_contain_text("+6 in")
    assert page.url.endswith("/view")
    await expect(show(page)).to_be_hidden()
    await expect(page.get_by_role("main")).to_be_focused()
    await publish("typo", 10)
    await expect(page.locator(".number")).to_have_text(["3", "10"])
    assert opened == []


async def test_picked_names_lose_the_hidden_one(open_view: OpenView, publish: Publish) -> None:
    """Nothing would bring the last one back: it stays. The others return until a reload."""
    for name in ("a", "b", "c"):
        await publish(name, 1)
    page = await open_view("?producers=c,a,b&window=60")
    await hide(page, "a").click()
    await expect(titles(page)).to_have_text(["c", "b"])
    await hide(page, "c").click()
    await expect(titles(page)).to_have_text(["b"])
    assert page.url.endswith("/view?producers=b&window=60")
    await expect(hide(page, "b")).to_have_count(0)
    await expect(show(page)).to_be_visible()
    await show(page).click()
    await expect(titles(page)).to_have_text(["c", "a", "b"])
    assert page.url.endswith("/view?producers=c,a,b&window=60")
    await hide(page, "a").click()
    await page.reload()
    await expect(titles(page)).to_have_text(["c", "b"])
    await expect(show(page)).to_be_hidden()


async def test_hostile_names_return_from_the_address(open_view: OpenView, publish: Publish) -> None:
    """Each hides itself and nothing else, by the script and by the server."""
    for name in (*HOSTILE, "a", "b"):
        await publish(name, 1)
    page = await open_view()
    for name in HOSTILE:
        await page.get_by_role("button", name=f"Hide {name[:10]}").click()
    await expect(titles(page)).to_have_text(["a", "b"])
    await page.reload()
    await expect(titles(page)).to_have_text(["a", "b"])
    await publish(LONG, 2)
    await publish("c", 1)
    await expect(titles(page)).to_have_text(["a", "b", "c"])
    await show(page).click()
    await expect(titles(page)).to_have_count(len(HOSTILE) + 3)
    assert page.url.endswith("/view")


async def test_no_button_where_only_the_cards_are_shown(open_view: OpenView, publish: Publish) -> None:
    """There is no toolbar that would bring a card back."""
    await publish("loss", 1)
    page = await open_view("?bare=1&without=typo")
    await expect(page.get_by_role("button")).to_have_count(1)
    await expect(page.get_by_role("button")).to_have_accessible_name("Full screen: loss")


async def test_another_producer_takes_the_free_place(open_view: OpenView, publish: Publish) -> None:
    """At most 200 have cards. All that are hidden return, and then it has no place again."""
    for number in range(201):
        await publish(f"n{number:03}", 1)
    page = await open_view()
    more = page.locator('[data-part="more"]')
    await expect(more).to_contain_text("1 more producer is not shown.")
    await expect(titles(page).last).to_have_text("n199")
    await hide(page, "n000").click()
    await expect(titles(page).last).to_have_text("n200")
    await expect(titles(page)).to_have_count(200)
    await expect(more).to_be_hidden()
    await show(page).click()
    await expect(titles(page).first).to_have_text("n000")
    await expect(titles(page)).to_have_count(200)
    await expect(more).to_contain_text("1 more producer is not shown.")


async def test_all_hidden(open_view: OpenView, publish: Publish) -> None:
    """The page says so, also after a reload. A new producer has a card."""
    await publish("loss", 1)
    page = await open_view()
    rest, empty = (page.locator(f'[data-part="{name}"]') for name in ("rest", "empty"))
    await expect(rest).to_be_hidden()
    await hide(page, "loss").click()
    await expect(rest).to_have_text("There are no values except the hidden ones.")
    await expect(rest).to_be_visible()
    await page.reload()
    await expect(rest).to_be_visible()
    await expect(empty).to_be_hidden()
    await publish("acc", 1)
    await expect(titles(page)).to_have_text(["acc"])
    await expect(rest).to_be_hidden()


async def test_double_click_hides_one_card(open_view: OpenView, publish: Publish) -> None:
    """The next card moves under the pointer."""
    for name in ("a", "b", "c", "d"):
        await publish(name, 1)
    page = await open_view()
    await hide(page, "a").dblclick()
    await hide(page, "d").click()
    await expect(titles(page)).to_have_text(["b", "c"])


async def test_failure_of_a_hidden_producer_is_not_reported(
    open_view: OpenView, publish: Publish, serve: Serve, tmp_path: Path
) -> None:
    """The line about it goes with the card."""
    plugin = tmp_path / "fails.py"
    plugin.write_text(FAILS)
    served = await serve(files=(plugin,))
    page = await open_view(server=served)
    failing = page.locator('[data-part="failing"]')
    await expect(failing).to_be_visible()
    await publish("readings", 1, server=served)
    await expect(hide(page, "readings")).to_be_visible()
    # The next list would remove the line too.
    await page.route("**/api/producers*", lambda _: None)
    await hide(page, "readings").click()
    assert await failing.is_hidden()
    await page.unroute_all(behavior="ignoreErrors")


@pytest.mark.empty_page
async def test_bounds(page: Page) -> None:
    """A hundred names, and an address that servers and proxies take."""
    found = await run(
        page,
        "view/address",
        """
        const may = (query, without) => {
            const options = { ...m.readOptions(query), ...(without && { without }) };
            return m.mayHide(m.addressWith(`http://h/view${query}`, options), options);
        };
        const names = (number, name) => Array.from({ length: number }, (_, index) => `${index}${name}`);
        return [
            may(""), may("", names(99, "")), may("", names(100, "")), may("", names(99, "x".repeat(60))),
            may("?producers=a,b"), may("?producers=a"), may("?producers=a,b", ["b"]), may("?bare=1"),
        ];
        """,
    )
    assert found == [True, True, False, False, True, False, False, False]
