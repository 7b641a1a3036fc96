"""The browser's client, as it is served, on the real server."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page

from rtdemo.protocol.close_reasons import Reason
from rtdemo.server.server import Server
from tests.browser.conftest import BrowserErrors, Open, Serve
from tests.free_port import free_port
from tests.web.login_tokens import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAX_BYTES = 6 * 1024
"""Compressed size of the client."""
CONNECT = """async (options) => {
    const { connect } = await import("/static/client.js");
    window.messages = [];
    window.states = [];
    window.stream = connect({
        onMessage: (message) => window.messages.push(message),
        onState: ({ state, sentence }) => window.states.push(`${state}: ${sentence}`),
        ...options,
    });
}"""
UNTIL = "([what, number]) => window[what].length >= number"


@pytest_asyncio.fixture(loop_scope="session")
async def page(open_page: Open) -> Page:
    """The server's own page, which may connect to other servers."""
    return await open_page(bypass_csp=True)


async def connect(page: Page, **options: Any) -> None:
    await page.evaluate(CONNECT, options)


async def messages(page: Page, number: int) -> list[dict[str, Any]]:
    """Return the messages, once there are so many."""
    await page.wait_for_function(UNTIL, arg=["messages", number])
    return list(await page.evaluate("window.messages"))


async def state(page: Page, wanted: str) -> str:
    """Wait for a state; return its sentence."""
    await page.wait_for_function("(wanted) => window.stream?.state === wanted", arg=wanted)
    return str(await page.evaluate("window.stream.sentence"))


async def publish(server: Server, *values: object, producer: str = "news") -> None:
    async with httpx.AsyncClient() as http:
        body = [{"value": value, "producer": producer} for value in values]
        (await http.post(f"{server.web_url}/api/publish", json=body)).raise_for_status()


async def cut(page: Page, server: Server) -> None:
    await page.wait_for_function("() => window.stream.welcome !== null")
    connection = server.hub.find(await page.evaluate("window.stream.welcome.client"))
    assert connection is not None
    connection.end(Reason.CONNECTION_LOST)


def expect_cut(browser_errors: BrowserErrors, side: str) -> None:
    """Chromium reports a stream that is cut."""
    if side == "sse":
        browser_errors.remove_expected("ERR_INCOMPLETE_CHUNKED_ENCODING")


async def test_it_is_small(server: Server) -> None:
    """One request, under 6 KB."""
    async with httpx.AsyncClient(headers={"Accept-Encoding": "gzip"}) as http:
        answer = await http.get(f"{server.web_url}/static/client.js")
    assert len(gzip.compress(answer.content)) < MAX_BYTES
    assert int(answer.headers["Content-Length"]) < MAX_BYTES
    assert "import" not in answer.text


async def test_lost_connection_resumes_without_a_gap(
    page: Page, server: Server, side: str, browser_errors: BrowserErrors
) -> None:
    """The page gets values, and no welcome or heartbeat."""
    await publish(server, 0)
    await connect(page, transport=side, producers=["news"])
    await page.wait_for_function("() => window.stream.welcome !== null")
    await publish(server, {"temperature": 21.5})
    await messages(page, 1)
    await cut(page, server)
    await publish(server, 2, 3)
    found = await messages(page, 3)
    assert [one["value"] for one in found] == [{"temperature": 21.5}, 2, 3]
    assert found[0]["text"].startswith('{"message":"{')
    ledger = await page.evaluate("window.stream.ledger")
    assert (ledger["missing"], ledger["repeated"], ledger["lost"]) == (0, 0, 0)
    assert await page.evaluate("window.states.some((state) => state.startsWith('reconnecting'))")
    at_the_end = await page.evaluate("[window.stream.transport, window.stream.position]")
    assert at_the_end == [side, found[-1]["id"]]
    expect_cut(browser_errors, side)


async def test_text_is_sent_and_answered(page: Page, side: str) -> None:
    await connect(page, transport=side, producers=["echo"])
    await page.wait_for_function("() => window.stream.welcome !== null")
    await page.evaluate("window.stream.send('hello')")
    assert (await messages(page, 1))[0]["message"] == "Echo: hello"


async def test_past_is_asked_for_again(page: Page, server: Server) -> None:
    """A longer one, as where a chart shows more."""
    await publish(server, 1, 2)
    await connect(page, producers=["news"], latest=True)
    assert [one["value"] for one in await messages(page, 1)] == [2]
    await page.evaluate("window.stream.rewind('10m')")
    assert [one["value"] for one in await messages(page, 3)] == [2, 1, 2]
    ledger = await page.evaluate("window.stream.ledger")
    assert (ledger["received"], ledger["repeated"], ledger["missing"]) == (3, 0, 0)


async def test_past_is_asked_for_also_while_it_connects(page: Page, server: Server) -> None:
    """The connection that opens would not bring it."""
    await publish(server, 1, 2)
    await page.evaluate(
        """async () => {
            const { connect } = await import("/static/client.js");
            window.messages = [];
            const onMessage = (message) => window.messages.push(message);
            window.stream = connect({ transport: "sse", producers: ["news"], onMessage });
            await new Promise((resolve) => setTimeout(resolve));
            window.state = window.stream.state;
            window.stream.rewind("10m");
        }"""
    )
    assert [one["value"] for one in await messages(page, 2)] == [1, 2]
    assert await page.evaluate("window.state") == "connecting"


async def test_empty_list_of_producers_picks_none(page: Page, server: Server, side: str) -> None:
    """As in Python. Only the welcome comes."""
    await connect(page, transport=side, producers=[])
    await page.wait_for_function("() => window.stream.welcome !== null")
    connection = server.hub.find(await page.evaluate("window.stream.welcome.client"))
    assert connection is not None
    assert connection.selection.producers == frozenset()


async def test_why_a_websocket_did_not_open_is_asked_with_the_login(
    open_page: Open, serve: Serve, browser_errors: BrowserErrors
) -> None:
    """Without it the answer would be that a login is needed."""
    server = await serve(secret=SECRET)
    page = await open_page(server=server)
    await page.evaluate(
        """async (token) => {
            const { connect } = await import("/static/client.js");
            const headers = { Authorization: `Bearer ${token}` };
            const ticket = async () =>
                (await (await fetch("/api/ticket", { method: "POST", headers })).json()).ticket;
            const options = { transport: "websocket", ticket, producers: ["nobody"] };
            window.stream = connect({ ...options, onMessage: () => undefined });
        }""",
        token(),
    )
    assert "nobody" in await state(page, "failed")
    assert await page.evaluate("window.stream.error") == "refused"
    browser_errors.clear()


@pytest.mark.parametrize("kind", ["token", "ticket"])
async def test_login_opens_each_connection(
    open_page: Open, serve: Serve, browser_errors: BrowserErrors, side: str, kind: str
) -> None:
    """By the token, for which a WebSocket gets a ticket; or by a ticket of the page's own server."""
    server = await serve(secret=SECRET)
    page = await open_page(server=server)
    await page.evaluate(
        """async ([kind, transport, token]) => {
            const { connect } = await import("/static/client.js");
            const headers = { Authorization: `Bearer ${token}` };
            window.tickets = 0;
            const ticket = async () => {
                window.tickets += 1;
                return (await (await fetch("/api/ticket", { method: "POST", headers })).json()).ticket;
            };
            window.messages = [];
            window.states = [];
            window.stream = connect({
                transport,
                ...(kind === "token" ? { token: () => token } : { ticket }),
                onMessage: (message) => window.messages.push(message),
            });
        }""",
        [kind, side, token()],
    )
    await state(page, "open")
    await cut(page, server)
    await publish(server, 1)
    await page.wait_for_function("() => window.messages.some(({ producer }) => producer === 'news')")
    assert await page.evaluate("window.tickets") == (2 if kind == "ticket" else 0)
    # The page itself has no token.
    browser_errors.remove_expected("401 (Unauthorized)")
    expect_cut(browser_errors, side)


async def test_error_of_the_page_ends_nothing(page: Page, browser_errors: BrowserErrors) -> None:
    """It is reported as an error of the page."""
    await page.evaluate(
        """async () => {
            const { connect } = await import("/static/client.js");
            window.values = [];
            window.stream = connect({ producers: ["echo"], onMessage: ({ message }) => {
                window.values.push(message);
                throw new Error("of the page");
            } });
        }"""
    )
    await page.wait_for_function("() => window.stream.welcome !== null")
    for number in (1, 2):
        await page.evaluate(f"window.stream.send('{number}')")
    await page.wait_for_function(UNTIL, arg=["values", 2])
    assert await page.evaluate("[window.stream.state, window.stream.ledger.received]") == ["open", 2]
    browser_errors.remove_expected("of the page")


async def test_server_that_does_not_answer_fails_or_is_waited_for(
    page: Page, browser_errors: BrowserErrors
) -> None:
    """At the first connection; most often the address is wrong."""
    url = f"http://127.0.0.1:{free_port()}/"
    await connect(page, url=url)
    assert "Nothing answers" in await state(page, "failed")
    assert await page.evaluate("window.stream.error") == "unreachable"
    # A browser does not report why a WebSocket did not open: it is not always a proxy.
    await connect(page, url=url, transport="websocket")
    assert await state(page, "failed") == "Nothing answers. Is the server running?"
    await connect(page, url=url, waitForServer=True)
    # It is reconnecting before, too: over SSE, as the WebSocket did not open.
    await page.wait_for_function("() => window.stream.sentence.includes('Trying again in')")
    assert await page.evaluate("window.stream.state") == "reconnecting"
    await page.evaluate("window.stream.close()")
    assert await page.evaluate("window.stream.state") == "closed"
    browser_errors.clear()


@pytest.mark.parametrize(
    ("transport", "token"), [("websocket", None), ("sse", None), ("auto", None), ("auto", "a.b.c")]
)
async def test_origin_that_is_not_allowed_has_its_sentence(
    page: Page,
    server: Server,
    serve: Serve,
    browser_errors: BrowserErrors,
    transport: str,
    token: str | None,
) -> None:
    """It names the flag, with a login too. A browser reports it as if nothing answered."""
    other = await serve(single_site=True)
    given = {} if token is None else {"token": token}
    await connect(page, url=f"{other.web_url}/", transport=transport, **given)
    sentence = f"This page's origin is not allowed: start rtdemo with --allow-origin {server.web_url}."
    assert await state(page, "failed") == sentence
    assert await page.evaluate("window.stream.error") == "refused"
    browser_errors.clear()


async def test_other_producers_are_selected(page: Page, server: Server, side: str) -> None:
    """The page continues after its last message, or asks for their past too."""
    await publish(server, 1)
    await connect(page, transport=side, producers=["echo"], latest=True)
    await page.wait_for_function("() => window.stream.welcome !== null")
    await page.evaluate("window.stream.select(['news'])")
    await publish(server, 2)
    assert [one["value"] for one in await messages(page, 1)] == [2]
    await page.evaluate("stream.select(['news', 'echo']); stream.rewind('10m')")
    assert [one["value"] for one in await messages(page, 3)] == [2, 1, 2]
    connection = server.hub.find(await page.evaluate("window.stream.welcome.client"))
    assert connection is not None
    assert connection.selection.producers == frozenset(("news", "echo"))


async def test_state_while_a_selection_connects(page: Page, side: str) -> None:
    """No connection is open: a text would not be sent."""
    await connect(page, transport=side)
    await state(page, "open")
    found = await page.evaluate("stream.select(['news']), [stream.state, stream.sentence]")
    assert found == ["connecting", "Connecting."]
    await state(page, "open")


async def test_messages_that_are_not_selected_are_not_missing(page: Page, server: Server) -> None:
    """The numbers of their producer go on meanwhile."""
    await connect(page, producers=["news"], latest=True)
    await page.wait_for_function("() => window.stream.welcome !== null")
    await publish(server, 1)
    await messages(page, 1)
    await page.evaluate("window.stream.select(['other'])")
    await publish(server, 2)
    await publish(server, 1, producer="other")
    await messages(page, 2)
    await page.evaluate("window.stream.select(['news'])")
    await publish(server, 3)
    found = [(one["producer"], one["value"]) for one in await messages(page, 3)]
    assert found == [("news", 1), ("other", 1), ("news", 3)]
    assert await page.evaluate("window.stream.ledger.missing") == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ws://here.test/", "transport": "sse"}, "has no sse stream"),
        ({"url": "http://"}, "Invalid URL"),
    ],
)
async def test_wrong_address_throws(page: Page, options: dict[str, str], words: str) -> None:
    with pytest.raises(Exception, match=words):
        await connect(page, **options)


async def test_closed_stream_stays_closed(page: Page, server: Server, side: str) -> None:
    """Neither an event of the browser nor a call opens it again."""
    await connect(page, transport=side)
    await state(page, "open")
    await page.evaluate("""() => {
        window.stream.close();
        dispatchEvent(new Event("online"));
        dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
        window.stream.rewind("1m");
    }""")
    assert await page.evaluate("window.stream.state") == "closed"
    await page.wait_for_function("() => window.stream.welcome === null")


async def test_page_of_another_origin_receives_and_sends(
    page: Page, server: Server, serve: Serve, side: str
) -> None:
    """One that `--allow-origin` names: the module, the stream and the texts are for it too."""
    other = await serve(allow_origin=(server.web_url,))
    source = CONNECT.replace("/static/client.js", f"{other.web_url}/static/client.js")
    await page.evaluate(source, {"url": f"{other.web_url}/", "transport": side, "producers": ["echo"]})
    await page.wait_for_function("() => window.stream?.welcome")
    await page.evaluate("window.stream.send('hello')")
    assert (await messages(page, 1))[0]["message"] == "Echo: hello"
    await page.evaluate("window.stream.close()")
