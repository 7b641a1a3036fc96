"""The panels, from Connect to Reset."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Page, expect

from rtdemo.server.server import Server
from tests.browser.conftest import Open, Serve
from tests.browser.panel import FIGURE, NONE, Panel, answer_websockets

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_both_connect_and_receive(page: Page) -> None:
    """One button connects both sides, each receives its own messages, the same button disconnects."""
    both = page.get_by_role("button", name="Connect both")
    await both.click()
    for side, text in (("websocket", "WebSocket Message"), ("sse", "SSE Message")):
        panel = Panel(page, side)
        await panel.becomes("connected")
        await expect(panel.texts.filter(has_text=text).first).to_be_visible()
        await expect(panel.part("opening")).to_have_text(FIGURE)
        await expect(panel.part("received-note")).to_have_text("none missing")
    await page.get_by_role("button", name="Disconnect both").click()
    for side in ("websocket", "sse"):
        await Panel(page, side).becomes("disconnected")
    await expect(both).to_be_visible()


async def test_latency_has_an_error_bound(panel: Panel) -> None:
    """The average latency is a figure with its error, or a bound where the error is larger."""
    await panel.connect()
    await expect(panel.part("latency")).to_have_text(FIGURE)
    # In one look: the next painting may change both.
    prefix, note = await panel.page.evaluate(
        """(side) => ["prefix", "note"].map((name) => {
            const part = `[data-side="${side}"] [data-part="latency-${name}"]`;
            return document.querySelector(part).innerText;
        })""",
        panel.side,
    )
    assert (prefix, note[:1]) in {("", "±"), ("under", "b")}


async def test_buttons_do_what_is_possible(panel: Panel) -> None:
    """Only what can be done is enabled, and a button keeps the focus when it is done."""
    connect = panel.root.get_by_role("button", name="Connect", exact=False).first
    disconnect = panel.root.get_by_role("button", name="Disconnect")
    send = panel.root.get_by_role("button", name="Send")
    await expect(disconnect).to_be_disabled()
    await expect(send).to_be_disabled()
    await panel.connect()
    await expect(connect).to_be_focused()
    await expect(connect).to_be_disabled()
    await expect(send).to_be_enabled()
    await disconnect.click()
    await panel.becomes("disconnected")
    await expect(panel.sentence).to_contain_text("Connect opens it again")
    await expect(connect).to_be_enabled()
    await expect(send).to_be_disabled()


async def test_send_shows_the_round_trip(panel: Panel) -> None:
    """What is sent comes back as an echo, and its round trip is shown."""
    await panel.connect()
    await panel.send_text("hello")
    await expect(panel.texts.filter(has_text="Echo: hello")).to_have_count(1)
    await expect(panel.part("round-trip")).to_have_text(FIGURE)
    await expect(panel.part("round-trip-note")).to_have_text("last reply")
    # Enter sends the same text again: it stays, selected.
    await panel.box.press("Enter")
    await expect(panel.texts.filter(has_text="Echo: hello")).to_have_count(2)


async def test_reset_clears_one_side(open_page: Open) -> None:
    """Reset clears a side's figures and messages, keeps it connected, and leaves the other alone."""
    page = await open_page("/?producers=welcome")
    panel, other = Panel(page, "websocket"), Panel(page, "sse")
    await panel.connect()
    await other.connect()
    await panel.send_text("hello")
    await expect(panel.part("round-trip")).to_have_text(FIGURE)
    await panel.press("Reset")
    await expect(panel.part("received")).to_have_text("0")
    for name in ("latency", "opening", "round-trip"):
        await expect(panel.part(name)).to_have_text(NONE)
    await expect(panel.part("empty")).to_be_visible()
    await expect(panel.texts.filter(has_text="connection established")).to_have_count(0)
    await expect(other.texts.filter(has_text="connection established")).to_have_count(1)
    await panel.becomes("connected")


async def test_it_counts_again_after_a_new_connect(panel: Panel) -> None:
    """A second connection numbers its messages afresh, which is no gap and no repetition."""
    for _ in range(2):
        await panel.connect()
        await panel.received(2)
        await panel.press("Disconnect")
        await panel.press("Reset")
    await panel.connect()
    await expect(panel.part("received-note")).to_have_text("none missing")


async def test_one_origin(open_page: Open, serve: Serve) -> None:
    """With a single site the page takes /ws on its own origin."""
    server = await serve(single_site=True)
    page = await open_page(server=server)
    panel = Panel(page, "websocket")
    await expect(panel.sentence).to_contain_text(f"{server.websocket_url}")
    await panel.connect()


async def test_the_address_passes_choices_on(open_page: Open, server: Server) -> None:
    """The page's own ?producers= and ?speed= go to both connections, other parameters do not."""
    page = await open_page("/?speed=20&producers=message&last_event_id=x")
    for side in ("websocket", "sse"):
        panel = Panel(page, side)
        await expect(panel.sentence).to_contain_text("?producers=message&speed=20")
        await expect(panel.sentence).not_to_contain_text("last_event_id")
        await panel.press("Connect")
        await panel.received(20)
        await expect(panel.rows.locator(".producer").filter(has_text="status")).to_have_count(0)


async def test_values_are_shown_as_values(page: Page) -> None:
    """A number is at the right, with its unit; a dict of numbers is no JSON until its row is opened."""
    sockets = await answer_websockets(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    numbers = {"user": 12.5, "system": None}
    for text, value in (("21.5 °C", 21.5), (json.dumps(numbers), numbers)):
        sockets[0].send(json.dumps({"message": text, "sentAt": 0, "producer": "x", "value": value}))
    await expect(panel.texts.nth(1)).to_have_text("21.5 °C")
    await expect(panel.texts.nth(1)).to_have_css("text-align", "right")
    await expect(panel.texts.first).to_have_text(f"user 12.5, system {NONE}")
    await panel.rows.first.focus()
    await expect(panel.texts.first).to_have_text(json.dumps(numbers))
