"""What goes wrong, and what the page then says."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, Route, expect

from rtdemo import Message, Reason
from rtdemo.engine.interface import Draft
from rtdemo.server import Server
from tests.browser.conftest import Faults, Open, Serve
from tests.browser.panel import NONE, Panel, play_websocket

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nothing_answers(page: Page, server: Server, panel: Panel, faults: Faults) -> None:
    """A connect to a server that is gone says where nothing answers and what to look at."""
    address = server.websocket_url if panel.side == "websocket" else f"{server.web_url}/api/sse"
    await server.stop()
    await panel.press("Connect")
    await panel.becomes("refused")
    await expect(panel.sentence).to_have_text(
        f"Nothing answers at {address}. Is the server running, and is that port open?"
    )
    await expect(panel.part("connect")).to_be_enabled()
    faults.forgive("ERR_")


async def test_refused(open_page: Open, side: str, faults: Faults) -> None:
    """A refusal is told in the server's own words, whatever the transport hides of them."""
    page = await open_page("/?speed=abc")
    await expect(page.locator("#link-note")).to_be_empty()
    panel = Panel(page, side)
    await panel.press("Connect")
    await panel.becomes("refused")
    await expect(panel.sentence).to_contain_text("The server refused the connection: ")
    await expect(panel.sentence).to_contain_text("speed: 'abc' is not a number from 0.1 to 20")
    faults.forgive("400")


async def test_refused_without_a_word(page: Page, faults: Faults) -> None:
    """Where the server has no words for it, its log is pointed to."""
    await page.route("**/api/sse*", lambda route: route.fulfill(status=503, body="draining"))
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await panel.becomes("refused")
    await expect(panel.sentence).to_contain_text("The server answers but refused the stream.")
    await expect(panel.sentence).to_contain_text("log")
    faults.forgive("503")


async def test_the_server_goes_away(page: Page, server: Server, faults: Faults) -> None:
    """At the server's shutdown both say so and try again by themselves, until told not to."""
    websocket, sse = Panel(page, "websocket"), Panel(page, "sse")
    await websocket.connect()
    await sse.connect()
    await server.stop()
    await websocket.becomes("reconnecting")
    await expect(websocket.sentence).to_contain_text("until you press Disconnect")
    await websocket.press("Disconnect")
    await websocket.becomes("disconnected")
    await sse.becomes("reconnecting")
    await expect(sse.sentence).to_contain_text("retries by itself")
    await sse.press("Disconnect")
    await sse.becomes("disconnected")
    # Whether the browser retried before that is its own affair.
    faults[:] = [fault for fault in faults if "ERR_CONNECTION_REFUSED" not in fault]


async def test_sse_comes_back(page: Page) -> None:
    """A stream that breaks is opened again by the browser, and the panel says how long it was gone."""

    async def broken(route: Route) -> None:
        await route.fulfill(content_type="text/event-stream", body="retry: 10\n\n")

    await page.route("**/api/sse*", broken, times=1)
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await expect(panel.sentence).to_contain_text("Reconnected after")
    await panel.becomes("connected")


async def test_sse_gives_up(page: Page, faults: Faults) -> None:
    """A retry that is answered with an error ends EventSource for good; the panel says so."""
    await page.route("**/api/sse*", lambda route: route.fulfill(status=503, body="draining"))
    await page.route(
        "**/api/sse*",
        lambda route: route.fulfill(content_type="text/event-stream", body="retry: 10\n\n"),
        times=1,
    )
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await panel.becomes("lost")
    await expect(panel.sentence).to_contain_text("gave up")
    faults.forgive("503")


@pytest.mark.parametrize(
    ("code", "reason", "sentence"),
    [
        (1008, "too many messages", "Reason: “too many messages”. Code 1008. It stays closed"),
        (1011, "", "see the server log. Code 1011. Retrying"),
        (1013, "", "read too slowly"),
        (4000, "<b>why</b>", "Reason: “<b>why</b>”. Code 4000. Retrying"),
    ],
)
async def test_close_codes(page: Page, code: int, reason: str, sentence: str) -> None:
    """Each way in which the server ends a connection has its sentence, and what follows."""
    sockets = await play_websocket(page)
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    await page.clock.install()
    await sockets[0].close(code=code, reason=reason)
    await panel.becomes("lost" if "stays" in sentence else "reconnecting")
    await expect(panel.sentence).to_contain_text(sentence)


async def test_coming_back_for_what_was_missed(open_page: Open, serve: Serve, side: str) -> None:
    """A cut connection comes back by itself, gets each message once, and the ledger says so."""
    server = await serve()
    panel = Panel(await open_page(server=server), side)
    await panel.connect()
    await publish(server, "before")
    await expect(panel.texts.filter(has_text="before")).to_have_count(1)
    for connection in list(server.hub._connections.values()):
        connection.end(Reason.GOING_AWAY)
    await panel.becomes("reconnecting")
    await publish(server, "meanwhile")
    await panel.becomes("connected")
    await publish(server, "after")
    for text in ("meanwhile", "after"):
        await expect(panel.texts.filter(has_text=text)).to_have_count(1)
    await expect(panel.part("received-note")).to_have_text("none missing")
    assert server.hub.traffic["sse" if side == "sse" else "websocket"].resumes == 1


async def publish(server: Server, text: str) -> None:
    await server.hub.publish([Draft(Message(text), "news")])


async def test_too_big(page: Page, faults: Faults) -> None:
    """Over 64 KiB the socket ends with 1009, the POST is refused, and both say so."""
    websocket, sse = Panel(page, "websocket"), Panel(page, "sse")
    for panel in (websocket, sse):
        await panel.connect()
        await panel.say("x" * (64 * 1024 + 1))
    await websocket.becomes("lost")
    await expect(websocket.sentence).to_contain_text("the limit is 64 KiB. Code 1009.")
    await expect(sse.part("sending")).to_contain_text("Not sent: the server answered 413.")
    await sse.becomes("connected")
    await sse.say("short")
    await expect(sse.texts.filter(has_text="Echo: short")).to_have_count(1)
    await expect(sse.part("sending")).to_contain_text("Sent by POST")
    faults.forgive("413")


async def test_silence(open_page: Open, side: str) -> None:
    """A connection on which nothing arrives for ten seconds is stalled until something does."""
    page = await open_page("/?producers=welcome")
    await page.clock.install()
    panel = Panel(page, side)
    await panel.connect()
    await page.clock.fast_forward(9_000)
    await panel.becomes("connected")
    await page.clock.fast_forward(3_000)
    await panel.becomes("stalled")
    await panel.say("anybody there?")
    await panel.becomes("connected")


async def test_no_answer_yet(page: Page) -> None:
    """A stream that does not open hints at the browser's limit, and can be given up."""
    await page.route("**/api/sse*", lambda _route: None)
    await page.clock.install()
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await panel.becomes("connecting")
    await page.clock.fast_forward(7_000)
    await expect(panel.sentence).to_contain_text("six streams")
    await panel.press("Disconnect")
    await panel.becomes("disconnected")


async def test_no_reply(page: Page) -> None:
    """A text without a reply is given up after ten seconds, and no round trip is made up."""
    await play_websocket(page)
    await page.clock.install()
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("connected")
    await panel.say("hello")
    await expect(panel.part("round-trip-note")).to_have_text("waiting for reply")
    await page.clock.fast_forward(12_000)
    await expect(panel.part("round-trip-note")).to_have_text("no reply in 10 s")
    await expect(panel.part("round-trip")).to_have_text(NONE)
