"""Failures of a connection, and what the page shows then."""

from __future__ import annotations

import functools
from unittest.mock import Mock

import pytest
from playwright.async_api import Page, Route, expect

from rtdemo import Message, Reason
from rtdemo.engine.interface import Draft
from rtdemo.errors import OverLimit, may_heal
from rtdemo.server.server import Server
from tests.browser.conftest import BrowserErrors, Open, Serve
from tests.browser.modules import run
from tests.browser.panel import Panel

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nothing_answers(
    page: Page, server: Server, panel: Panel, browser_errors: BrowserErrors
) -> None:
    """A connect to a stopped server shows which address does not answer and what to check."""
    address = server.websocket_url if panel.side == "websocket" else f"{server.web_url}/api/sse"
    await server.stop()
    await panel.press("Connect")
    await panel.becomes("refused")
    await expect(panel.sentence).to_have_text(
        f"Nothing answers at {address}. Is the server running, and is that port open?"
    )
    await expect(panel.part("connect")).to_be_enabled()
    browser_errors.remove_expected("ERR_")


async def test_refused(open_page: Open, side: str, browser_errors: BrowserErrors) -> None:
    """The page shows the server's reason for a refusal, although the transports hide it."""
    page = await open_page("/?speed=abc")
    await expect(page.locator("#link-note")).to_be_empty()
    panel = Panel(page, side)
    await panel.press("Connect")
    await panel.becomes("refused")
    await expect(panel.sentence).to_contain_text("The server refused the connection: ")
    await expect(panel.sentence).to_contain_text("speed: 'abc' is not a number from 0.1 to 20")
    browser_errors.remove_expected("400")


async def test_refused_by_a_limit(
    page: Page,
    server: Server,
    panel: Panel,
    browser_errors: BrowserErrors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page shows the limit and retries after Retry-After, until the server accepts it."""
    refuse = Mock(side_effect=OverLimit("max_connections", "the server has 5 connections", 1.0))
    monkeypatch.setattr(server.hub.limits, "check_connect", refuse)
    await panel.press("Connect")
    await panel.becomes("reconnecting")
    await expect(panel.sentence).to_contain_text(
        "The server refused the connection: the server has 5 connections. It retries by itself"
    )
    monkeypatch.undo()
    await panel.becomes("connected")
    browser_errors.remove_expected("503")


async def test_refused_without_a_word(page: Page, browser_errors: BrowserErrors) -> None:
    """If the server gives no reason, the page names its log."""
    await page.route("**/api/sse*", lambda route: route.fulfill(status=503, body="draining"))
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await panel.becomes("refused")
    await expect(panel.sentence).to_contain_text("The server answers but refused the stream.")
    await expect(panel.sentence).to_contain_text("log")
    browser_errors.remove_expected("503")


async def test_the_server_goes_away(page: Page, server: Server, browser_errors: BrowserErrors) -> None:
    """At the server's shutdown both show it and retry by themselves, until Disconnect."""
    websocket, sse = Panel(page, "websocket"), Panel(page, "sse")
    await websocket.connect()
    await sse.connect()
    await server.stop()
    await websocket.becomes("reconnecting")
    await expect(websocket.sentence).to_contain_text("until you press Disconnect")
    await websocket.press("Disconnect")
    await websocket.becomes("disconnected")
    await sse.becomes("reconnecting")
    await expect(sse.sentence).to_contain_text("until you press Disconnect")
    await sse.press("Disconnect")
    await sse.becomes("disconnected")
    # How often the page has tried until then depends on the machine, and its other requests fail too.
    await page.close()
    browser_errors.remove_outage()


async def end_at_once(route: Route) -> None:
    """Open a stream that ends without an event."""
    await route.fulfill(content_type="text/event-stream", body="retry: 10\n\n")


async def test_sse_comes_back(page: Page) -> None:
    """The page reopens a broken stream, and the panel shows how long it was away."""
    await page.route("**/api/sse*", end_at_once, times=1)
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await expect(panel.sentence).to_contain_text("Reconnected after")
    await panel.becomes("connected")


async def test_sse_is_tried_again_after_an_error(page: Page, browser_errors: BrowserErrors) -> None:
    """EventSource by itself gives up after an answer of 503; the page does not."""
    await page.route("**/api/sse*", lambda route: route.fulfill(status=503, body="draining"))
    await page.route("**/api/sse*", end_at_once, times=1)
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await expect(panel.sentence).to_contain_text("The server answers but refused the stream.")
    await panel.becomes("reconnecting")
    await page.unroute("**/api/sse*")
    await panel.becomes("connected")
    await expect(panel.part("reconnects")).to_have_text("1")
    browser_errors.remove_expected("503")


async def test_reconnect_that_is_refused_ends_with_the_reason(
    page: Page, browser_errors: BrowserErrors
) -> None:
    """A retry would be refused too."""
    refuse = "producers: there is no such name"
    await page.route("**/api/sse*", lambda route: route.fulfill(status=400, body=refuse))
    await page.route("**/api/sse*", end_at_once, times=1)
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await panel.becomes("lost")
    await expect(panel.sentence).to_have_text(f"The server refused the connection: {refuse}.")
    browser_errors.remove_expected("400")


@pytest.mark.parametrize("status", [408, 425, 429])
async def test_refusal_that_may_pass_is_tried_again(
    page: Page, status: int, browser_errors: BrowserErrors
) -> None:
    """Without Retry-After, too."""
    await page.route("**/api/sse*", lambda route: route.fulfill(status=status, body="not yet"))
    await page.route("**/api/sse*", end_at_once, times=1)
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await expect(panel.sentence).to_contain_text("The server refused the connection: not yet.")
    await panel.becomes("reconnecting")
    await page.unroute("**/api/sse*")
    await panel.becomes("connected")
    browser_errors.remove_expected(str(status))


@pytest.mark.parametrize(("status", "body"), [(403, "<html>Forbidden</html>"), (404, ""), (501, "")])
async def test_refusal_without_words_ends_with_its_status(
    page: Page, status: int, body: str, browser_errors: BrowserErrors
) -> None:
    """A proxy sends a web page, or nothing. Where a retry would be refused too, there is none."""
    later = {"Retry-After": "1"}
    refuse = functools.partial(Route.fulfill, status=status, body=body, headers=later)
    await page.route("**/api/sse*", refuse)
    await page.route("**/api/sse*", end_at_once, times=1)
    panel = Panel(page, "sse")
    await panel.press("Connect")
    await panel.becomes("lost")
    answered = f"The server refused the connection: it answered {status}."
    await expect(panel.sentence).to_have_text(answered)
    browser_errors.remove_expected(str(status))


async def test_page_and_python_client_have_one_rule(page: Page) -> None:
    """Which refusals may pass by themselves."""
    body = "return [...Array(600).keys()].filter((status) => m.mayHeal(status));"
    assert await run(page, "client/may_heal", body) == list(filter(may_heal, range(600)))


async def test_blocked_websocket_port_suggests_a_single_site(
    open_page: Open, server: Server, browser_errors: BrowserErrors
) -> None:
    """Only the second port does not answer, and the server has a WebSocket on the page's own."""
    page = await open_page(bypass_csp=True)
    await page.evaluate(
        """() => {
            const Real = WebSocket;
            window.WebSocket = function () { return new Real(`ws://${location.hostname}:1/`); };
        }"""
    )
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("refused")
    await expect(panel.sentence).to_contain_text(f"{server.websocket_url} did not open")
    await expect(panel.sentence).to_contain_text("start it with --single-site to use that")
    browser_errors.remove_expected("ERR_")
    browser_errors.remove_expected("426")


async def test_coming_back_for_what_was_missed(open_page: Open, serve: Serve, side: str) -> None:
    """A cut connection reconnects by itself, gets each message once, and the ledger shows it."""
    server = await serve()
    panel = Panel(await open_page(server=server), side)
    await panel.connect()
    await publish(server, "before")
    await expect(panel.texts.filter(has_text="before")).to_have_count(1)
    for connection in server.hub.connections:
        connection.end(Reason.GOING_AWAY)
    await publish(server, "meanwhile")
    await expect(panel.part("reconnects")).to_have_text("1")
    await panel.becomes("connected")
    await publish(server, "after")
    for text in ("meanwhile", "after"):
        await expect(panel.texts.filter(has_text=text)).to_have_count(1)
    await expect(panel.part("received-note")).to_have_text("none missing")
    assert server.hub.traffic["sse" if side == "sse" else "websocket"].resumes == 1


async def publish(server: Server, text: str) -> None:
    await server.hub.publish([Draft(Message(text), "news")])


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
