"""Untrusted messages: markup, control characters, sizes, nonsense, floods."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from rtdemo.server.server import Server
from tests.browser.conftest import BrowserErrors, Open
from tests.browser.panel import Panel, answer_websockets

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = '<img src=x onerror="window.injected = 1"><script>window.injected = 1</script>'


def envelope(text: str, **fields: Any) -> str:
    """Write a message as the server does."""
    return json.dumps({"message": text, "sentAt": 0, "producer": "test", **fields})


async def test_markup_stays_text(page: Page, panel: Panel) -> None:
    """A message with markup is shown as written: no element appears, no script runs."""
    await panel.connect()
    await panel.send_text(MARKUP)
    await expect(panel.texts.filter(has_text=f"Echo: {MARKUP}")).to_have_count(1)
    assert await page.locator("img, li script").count() == 0
    assert await page.evaluate("window.injected") is None


async def test_the_policy_is_on(page: Page, browser_errors: BrowserErrors) -> None:
    """The browser refuses an inline script, so a hole in the page would not be one in the reader."""
    await page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.injected = 1";
            document.body.append(script);
        }"""
    )
    assert await page.evaluate("window.injected") is None
    browser_errors.remove_expected("Content Security Policy")


async def test_what_hides_is_shown(page: Page) -> None:
    """Control characters and direction overrides show as pictures and code points."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    sockets[0].send(envelope("a\u0000b\u202ec\nd\u0007", producer="<b>\u202e"))
    await expect(panel.texts.first).to_have_text("a␀b[U+202E]c␊d␇")
    await expect(panel.rows.first.locator(".producer")).to_have_text("<b>[U+202E]")


async def test_64_kib_on_one_row(open_page: Open, side: str) -> None:
    """A message of 64 KiB takes one row's height; the focus shows all of it and moves no other."""
    text = "long " * 13_000
    # No other message moves it to the next row.
    panel = Panel(await open_page("/?producers=welcome"), side)
    await panel.connect()
    await panel.send_text(text.strip())
    row = panel.rows.filter(has_text="Echo: long").first
    await row.wait_for()
    heights = await panel.rows.evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert set(heights) == {28}
    await row.focus()
    await expect(panel.part("held")).to_contain_text("paused")
    shown = panel.root.locator("li:focus .text")
    assert len(await shown.text_content() or "") == len(f"Echo: {text.strip()}")
    tops = await panel.rows.evaluate_all("rows => rows.map(row => row.offsetTop)")
    assert [b - a for a, b in pairwise(tops)] == [28] * 9
    await panel.page.keyboard.press("Escape")
    await expect(panel.part("held")).to_have_text("latest arrival first")


async def test_nonsense_is_counted(page: Page) -> None:
    """An unreadable message is counted and reported, and the next message is shown."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    nonsense: list[str | bytes] = [
        "{nope",
        "null",
        "[]",
        "7",
        '{"message": 1, "sentAt": 2}',
        '{"message": "x"}',
        b"\xff\x00",
    ]
    for frame in nonsense:
        sockets[0].send(frame)
    await expect(panel.part("received-note")).to_have_text(f"{len(nonsense)} unreadable")
    await expect(panel.sentence).to_contain_text("could not be read")
    await expect(panel.part("announcement")).to_contain_text("connected. Messages arrive")
    sockets[0].send(envelope("good"))
    await expect(panel.texts.first).to_have_text("good")
    await expect(panel.part("received")).to_have_text("1")


async def test_nonsense_on_the_stream(page: Page) -> None:
    """An unreadable event is counted and reported."""

    async def answer(route: Route) -> None:
        await route.fulfill(content_type="text/event-stream", body="data: {nope\n\n")

    # The page comes back, and gets no further answer.
    await page.route("**/api/sse*", lambda _: None)
    await page.route("**/api/sse*", answer, times=1)
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await expect(panel.part("received-note")).to_have_text("1 unreadable")


async def test_gaps_and_repetitions_are_counted(page: Page) -> None:
    """A jump in a producer's numbers is a missing message, a number seen before a repeated one."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    for seq in (1, 2, 5, 5):
        sockets[0].send(envelope("x", seq=seq))
    # A shared producer has a past; it is followed from where it is.
    sockets[0].send(envelope("y", producer="shared", seq=900, id="e-900"))
    await expect(panel.part("received-note")).to_have_text("2 lost, 1 repeated")


async def test_the_list_is_bounded(open_page: Open, flooded: Server, side: str) -> None:
    """After hundreds of messages there are ten rows, the newest first."""
    panel = Panel(await open_page(server=flooded), side)
    await panel.connect_and_flood(300)
    await panel.press("Disconnect")
    await expect(panel.rows).to_have_count(10)
    times = await panel.rows.locator("time").all_text_contents()
    assert all(times)
    assert times == sorted(times, reverse=True)
