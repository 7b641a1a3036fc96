"""The page where the server needs a login: its form, its tickets, and a token that expires."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from rtdemo import Reason
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.browser.conftest import BrowserErrors, Open, Serve
from tests.browser.panel import Panel
from tests.web.login_tokens import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

RESTRICTED = """
from rtdemo import producer

@producer(every=0.2, shared=True, users=["ann"])
def of_ann():
    return "for ann"
"""


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(serve: Serve, clock: VirtualClock) -> Server:
    return await serve(secret=SECRET, clock=clock)


def form(page: Page) -> Locator:
    return page.locator('[data-part="login"]')


def state(page: Page) -> Locator:
    return page.locator('[data-part="login-state"]')


async def log_in(page: Page, given: str) -> None:
    await page.get_by_label("Token").fill(given)
    await page.get_by_role("button", name="Log in").click()


async def test_form_asks_for_a_token_and_the_page_connects(
    open_page: Open, guarded: Server, browser_errors: BrowserErrors
) -> None:
    """Each connection has a ticket of its own in its address, and no address has the token."""
    page = await open_page(server=guarded)
    await expect(state(page)).to_have_text("This server needs a login token.")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("websocket", lambda socket: addresses.append(socket.url))
    given = token("ann")
    await log_in(page, given)
    await expect(state(page)).to_contain_text("You are logged in.")
    await page.get_by_role("button", name="Connect both").click()
    for side in ("websocket", "sse"):
        await Panel(page, side).becomes("connected")
    assert {connection.client.user for connection in guarded.hub.connections} == {"ann"}
    panel = Panel(page, "sse")
    await panel.send_text("hi")
    await expect(panel.texts.filter(has_text="Echo: hi")).to_have_count(1)
    tickets = [address.partition("ticket=")[2] for address in addresses if "ticket=" in address]
    assert len(set(tickets)) == len(tickets) == 2
    assert not any(given in address for address in addresses)
    assert given not in await page.content()
    await page.reload()
    await expect(state(page)).to_contain_text("You are logged in.")
    # The run goes on after a reload, with new tickets.
    for side in ("websocket", "sse"):
        await Panel(page, side).becomes("connected")
    await page.get_by_role("button", name="Forget the token").click()
    for side in ("websocket", "sse"):
        await Panel(page, side).becomes("disconnected")
    await expect(state(page)).to_have_text("This server needs a login token.")
    browser_errors.remove_expected("401")


async def test_forgotten_token_takes_with_it_what_it_has_shown(
    open_page: Open, serve: Serve, tmp_path: Path, browser_errors: BrowserErrors
) -> None:
    """The next reader of the page may be another user."""
    plugin = tmp_path / "private.py"
    plugin.write_text(RESTRICTED)
    page = await open_page(server=await serve(files=(plugin,), secret=SECRET))
    await log_in(page, token("ann"))
    await page.get_by_role("button", name="Connect both").click()
    for side in ("websocket", "sse"):
        await expect(Panel(page, side).texts.filter(has_text="for ann").first).to_be_attached()
    await expect(page.locator("details.producers")).to_contain_text("of_ann")
    await page.get_by_role("button", name="Forget the token").click()
    await expect(state(page)).to_have_text("This server needs a login token.")
    await expect(page.locator("body")).not_to_contain_text("of_ann")
    assert "for ann" not in await page.content()
    browser_errors.remove_expected("401")


async def test_refusal_without_a_token_says_where_to_enter_one(
    open_page: Open, guarded: Server, side: str, browser_errors: BrowserErrors
) -> None:
    """It is gone once a token is entered."""
    page = await open_page(server=guarded)
    panel = Panel(page, side)
    await panel.press("Connect")
    await panel.becomes("refused")
    asks = "This server needs a login token. Enter one at “Token” and press Log in."
    await expect(panel.sentence).to_have_text(asks)
    await log_in(page, token("ann"))
    await panel.becomes("idle")
    await expect(panel.sentence).to_contain_text("Connect opens")
    browser_errors.remove_expected("401")


async def test_wrong_token_is_refused_with_the_reason(
    open_page: Open, guarded: Server, browser_errors: BrowserErrors
) -> None:
    """The form stays, and says why."""
    page = await open_page(server=guarded)
    await log_in(page, token(key="another secret of 32 bytes or more"))
    await expect(state(page)).to_contain_text("signed with another key; get a new one.")
    await log_in(page, token(seconds=-60))
    await expect(state(page)).to_contain_text("has expired")
    browser_errors.remove_expected("401")


async def test_token_that_is_not_checked_is_no_login(
    open_page: Open, serve: Serve, clock: VirtualClock, browser_errors: BrowserErrors
) -> None:
    """After too many wrong tokens the server checks none; the form repeats its reason."""
    server = await serve(secret=SECRET, clock=clock, failed_tokens_per_address=1, trusted_proxies="1")
    page = await open_page(server=server)
    await log_in(page, token(seconds=-60))
    await expect(state(page)).to_contain_text("has expired")
    await log_in(page, token("ann"))
    await expect(state(page)).to_contain_text(
        "The server has not checked the token: your address sent too many wrong tokens"
    )
    clock.advance(120)
    await expect(state(page)).to_contain_text("You are logged in.")
    browser_errors.remove_expected("401")
    browser_errors.remove_expected("429")


async def test_page_works_where_the_browser_forbids_storage(
    open_page: Open, guarded: Server, browser_errors: BrowserErrors
) -> None:
    """Both sides connect with a token; it is forgotten with the page."""
    page = await open_page(server=guarded)
    await page.add_init_script(
        """
        const denied = () => { throw new DOMException("denied", "SecurityError"); };
        Object.defineProperty(window, "sessionStorage", { get: denied });
        window.BroadcastChannel = class { constructor() { denied(); } };
        """
    )
    await page.reload()
    await log_in(page, token("ann"))
    await page.get_by_role("button", name="Connect both").click()
    for side in ("websocket", "sse"):
        await Panel(page, side).becomes("connected")
    await page.reload()
    await expect(state(page)).to_have_text("This server needs a login token.")
    browser_errors.remove_expected("401")


async def test_reconnect_has_a_new_ticket(
    open_page: Open, guarded: Server, side: str, browser_errors: BrowserErrors
) -> None:
    """The old one was used: EventSource by itself would be refused. The position is kept."""
    page = await open_page(server=guarded)
    await log_in(page, token("ann"))
    panel = Panel(page, side)
    await panel.connect()
    for number in range(2):
        (connection,) = guarded.hub.connections
        connection.end(Reason.CONNECTION_LOST)
        await expect(panel.part("reconnects")).to_have_text(str(number + 1))
        await panel.becomes("connected")
        assert guarded.hub.traffic[connection.client.transport].resumes == number + 1
    browser_errors.remove_expected("401")
    browser_errors.remove_possible("ERR_INCOMPLETE_CHUNKED")


async def test_expired_token_ends_the_connection_with_a_sentence(
    open_page: Open, guarded: Server, clock: VirtualClock, side: str, browser_errors: BrowserErrors
) -> None:
    """It does not reconnect, and asks for a new token; with one, Connect works again."""
    page = await open_page(server=guarded)
    await log_in(page, token("ann", seconds=60))
    panel = Panel(page, side)
    await panel.connect()
    clock.advance(70)
    await panel.becomes("lost")
    await expect(panel.sentence).to_contain_text("Your token has expired.")
    await expect(state(page)).to_contain_text("Your token has expired.")
    await log_in(page, token("ann"))
    await panel.connect()
    browser_errors.remove_expected("401")


async def test_page_does_not_show_a_ticket_that_is_still_valid(
    open_page: Open, guarded: Server, browser_errors: BrowserErrors
) -> None:
    """The browser refuses to open the socket, and repeats the address in its reason."""
    page = await open_page(server=guarded)
    await page.evaluate(
        "() => { WebSocket = class { constructor(url) { throw new Error(`${url} is blocked`); } }; }"
    )
    await log_in(page, token("ann"))
    panel = Panel(page, "websocket")
    await panel.press("Connect")
    await panel.becomes("refused")
    await expect(panel.sentence).to_contain_text("is blocked")
    assert "ticket=" not in await page.content()
    browser_errors.remove_expected("401")


async def test_without_login_there_is_no_form(open_page: Open) -> None:
    """The page is as it was."""
    page = await open_page()
    await expect(form(page)).to_have_count(0)
