"""The browser's client on servers that misbehave: the same table as for the Python client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from rtdemo.web.joined_files import join_library
from rtdemo.web.static_files import CLIENT, FOLDER
from tests.browser.conftest import EMPTY
from tests.browser.modules import stop_clock
from tests.client.misbehaving import (
    CASES,
    Case,
    MisbehavingServer,
    Peer,
    behaves,
    forwards_no_upgrade,
    misbehaving,
    redirects,
)
from tests.client.seen import Seen
from tests.free_port import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEP_MS, LONG_STEP_MS = 100, 2_000
"""Time of the page between two looks at it; the longer one where a case waits for time to pass."""
LOOK_S, LONG_LOOK_S = 0.01, 0.1
"""Seconds for what is on its way meanwhile, which the page must not take for silence."""
TIMEOUT_S = 60
"""Seconds for what a busy machine may do late."""
CONNECT = """async (options) => {
    const { connect } = await import("/static/client.js");
    window.messages = [];
    window.states = [];
    window.stream = connect({
        onMessage: ({ message }) => window.messages.push(message),
        onState: ({ state }) => window.states.push(state),
        ...options,
    });
}"""
START = """async ([url, transport, sent, rewind]) => {
    const { connect } = await import("/static/client.js");
    window.seen = { messages: [], sentences: [] };
    window.stream = connect({
        url,
        transport,
        rewind: rewind ?? undefined,
        onMessage: ({ message }) => window.seen.messages.push(message),
        onState: ({ state, sentence, welcome }) => {
            window.seen.sentences.push(`${state}: ${sentence}`);
            if (welcome === null || sent === "") return;
            window.stream.send(sent).catch(({ message }) => {
                window.seen.error = "not sent";
                window.seen.sentences.push(message);
            });
        },
    });
}"""
LOOK = """() => {
    const { messages, sentences, error = window.stream.error } = window.seen;
    const { transport, ledger, state } = window.stream;
    return { messages, sentences: sentences.join("\\n"), error: error ?? "", transport, ledger, state };
}"""


def client_files() -> dict[str, tuple[str, str]]:
    """Return the client as it is served, and an empty page."""
    sources = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*.js")}
    return {
        "/empty": ("text/html", str(EMPTY["body"])),
        "/static/client.js": ("text/javascript", join_library(sources, CLIENT)),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[MisbehavingServer]:
    """One server for all cases: the page stays."""
    async with misbehaving(behaves, client_files()) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser, server: MisbehavingServer) -> AsyncIterator[Page]:
    """An empty page, whose time the test moves."""
    page = await browser.new_page()
    await page.goto(f"{server.url}/empty")
    await stop_clock(page)
    yield page
    await page.close()


async def seen_of(page: Page, url: str, transport: str, case: Case) -> Seen:
    """Receive until all that is wanted has arrived, or an error ends the stream."""
    await page.evaluate(START, [f"{url}/", transport, case.sent, case.rewind])
    step, pause_s = (LONG_STEP_MS, LONG_LOOK_S) if case.waits else (STEP_MS, LOOK_S)
    try:
        while True:
            found: dict[str, Any] = await page.evaluate(LOOK)
            is_complete = len(found["messages"]) >= len(case.messages) and not case.error
            if is_complete or found["error"]:
                break
            await page.clock.run_for(step)
            await asyncio.sleep(pause_s)
    finally:
        await page.evaluate("window.stream.close()")
    del found["state"]
    return Seen(**found)


@pytest.mark.parametrize(
    ("name", "transport"),
    [(name, transport) for name, case in CASES.items() for transport in case.transports],
)
async def test_outcome_is_as_wanted(
    page: Page, server: MisbehavingServer, name: str, transport: str
) -> None:
    """See the table of cases."""
    case = CASES[name]
    server.begin(case.serve)
    async with asyncio.timeout(TIMEOUT_S):
        seen = await seen_of(page, server.url, transport, case)
    seen.check(case, server.after.get(transport, []))


async def until(page: Page, condition: str) -> None:
    """Move the page's time until a condition holds."""
    async with asyncio.timeout(TIMEOUT_S):
        while not await page.evaluate(condition):
            await page.clock.run_for(STEP_MS)
            await asyncio.sleep(LOOK_S)


async def test_event_stream_of_another_server_resumes(page: Page, server: MisbehavingServer) -> None:
    """By the header that such servers know. Its events may have any name."""
    heads: list[str | None] = []

    async def serve(peer: Peer) -> None:
        heads.append(peer.head.get("last-event-id"))
        await peer.accept(welcomes=False)
        name = (b"price", b"expired")[peer.number]
        await peer.raw(b"event: %b\nid: %d\ndata: %b\n\n" % (name, peer.number, name))
        if peer.number == 1:
            await peer.stay()

    server.begin(serve)
    await page.evaluate(CONNECT, {"url": f"{server.url}/api/sse"})
    await until(page, "window.messages.length === 2")
    await page.evaluate("window.stream.close()")
    assert await page.evaluate("window.messages") == ["price", "expired"]
    assert heads == [None, "0"]


async def test_request_for_a_ticket_is_not_redirected(page: Page, server: MisbehavingServer) -> None:
    """It has the token, which is for this server alone."""
    server.begin(redirects)
    await page.evaluate(CONNECT, {"url": f"{server.url}/", "transport": "websocket", "token": "secret"})
    await until(page, "window.stream.state === 'failed'")
    assert "redirect" in await page.evaluate("window.stream.sentence")
    assert server.after == {"websocket": [], "sse": [], "post": [""]}


async def test_server_that_always_closes_is_asked_ever_less_often(
    page: Page, server: MisbehavingServer
) -> None:
    """A welcome alone does not begin the waits anew: only a connection of over 5 s does."""
    closes = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.accept()
        if peer.number == 6:
            await closes.wait()
        await peer.close()

    server.begin(serve)
    await page.evaluate(
        """async (options) => {
            const { connect } = await import("/static/client.js");
            window.waits = [];
            const onState = ({ sentence }) => {
                const wait = / in ([\\d.]+) s/.exec(sentence);
                if (wait) window.waits.push(Number(wait[1]));
            };
            window.stream = connect({ ...options, onMessage: () => undefined, onState });
        }""",
        {"url": f"{server.url}/", "transport": "sse"},
    )
    await until(page, "window.waits.length === 6 && window.stream.welcome !== null")
    await page.clock.run_for(5_100)
    closes.set()
    await until(page, "window.waits.length === 7")
    await page.evaluate("window.stream.close()")
    waits = await page.evaluate("window.waits")
    assert waits[0] <= 0.5
    assert min(waits[4:6]) >= 2.5
    assert waits[6] <= 0.5


async def test_websocket_that_does_not_open_beside_an_event_stream(
    page: Page, server: MisbehavingServer
) -> None:
    """Only then a proxy is suspected: the server answers."""
    server.begin(forwards_no_upgrade)
    await page.evaluate(CONNECT, {"url": f"{server.url}/", "transport": "websocket"})
    await until(page, "window.stream.state === 'failed'")
    sentence = "The WebSocket did not open. A proxy may not forward the upgrade."
    assert await page.evaluate("window.stream.sentence") == sentence
    await page.evaluate(CONNECT, {"url": f"{server.url}/"})
    await until(page, "window.stream.state === 'open'")
    assert await page.evaluate("window.stream.sentence") == f"Open over SSE. {sentence}"
    await page.evaluate("window.stream.close()")


async def test_no_websocket_is_opened_while_nothing_answers(page: Page) -> None:
    """Browsers make it wait, longer after each failure. The first one alone is to find out."""
    await page.evaluate(
        """async (url) => {
            const { connect } = await import("/static/client.js");
            const { WebSocket } = window;
            window.opened = window.tries = 0;
            window.WebSocket = class extends WebSocket {
                constructor(url) {
                    super(url);
                    window.opened += 1;
                }
            };
            const onState = ({ sentence }) => (window.tries += / in [\\d.]+ s/.test(sentence) ? 1 : 0);
            window.stream = connect({ url, waitForServer: true, onMessage: () => undefined, onState });
            window.restore = () => Object.assign(window, { WebSocket });
        }""",
        f"http://127.0.0.1:{free_port()}/",
    )
    await until(page, "window.tries === 3")
    sentence = await page.evaluate("window.stream.sentence")
    assert sentence.startswith("Nothing answers. Is the server running? Trying again in ")
    assert await page.evaluate("window.opened") == 1
    await page.evaluate("window.stream.close(); window.restore()")


@pytest.mark.parametrize(
    ("words", "shown"), [("not now", ": not now."), ("Go away!", ": Go away!"), ("<html>nginx", ".")]
)
async def test_refusal_is_a_sentence(
    page: Page, server: MisbehavingServer, words: str, shown: str
) -> None:
    """The next sentence follows it. A proxy's web page is not shown as text."""

    async def serve(peer: Peer) -> None:
        await peer.refuse("503 Service Unavailable", words, "Retry-After: 5\r\n")

    server.begin(serve)
    await page.evaluate(CONNECT, {"url": f"{server.url}/", "transport": "sse"})
    await until(page, "window.stream.state === 'reconnecting'")
    sentence = await page.evaluate("window.stream.sentence")
    assert sentence.startswith(f"The server answered 503{shown} Trying again in ")
    await page.evaluate("window.stream.close()")


async def test_login_function_that_rejects_has_its_reason(page: Page, server: MisbehavingServer) -> None:
    """It may not have been refused: the server that gives tickets may be away."""
    await page.evaluate(
        """async (url) => {
            const { connect } = await import("/static/client.js");
            const ticket = () => Promise.reject(new Error("nothing answers at /ticket"));
            window.stream = connect({ url, ticket, onMessage: () => undefined });
        }""",
        f"{server.url}/",
    )
    await until(page, "window.stream.state === 'failed'")
    assert await page.evaluate("window.stream.sentence") == "No login: nothing answers at /ticket."
    assert await page.evaluate("window.stream.error") == "unreachable"


@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_proxy_of_another_origin_without_its_server(page: Page, transport: str) -> None:
    """The browser hides what the proxy answers, as for an origin that is not allowed."""

    async def serve(peer: Peer) -> None:
        await peer.refuse("502 Bad Gateway", "<html>nginx</html>")

    async with misbehaving(serve) as proxy:
        await page.evaluate(CONNECT, {"url": f"{proxy.url}/", "transport": transport})
        await until(page, "window.stream.state === 'failed'")
    assert await page.evaluate("window.stream.sentence") == "Nothing answers. Is the server running?"
    assert await page.evaluate("window.stream.error") == "unreachable"


LOSING = """async () => {
    const { connect } = await import("/static/client.js");
    const { WebSocket } = window;
    const { random } = Math;
    Math.random = () => 1;
    const sockets = [];
    window.rewinds = window.opened = 0;
    window.reply = () => undefined;
    window.WebSocket = class {
        constructor() {
            sockets.push(this);
            setTimeout(() => {
                window.opened += 1;
                this.onopen();
            });
        }
        close() {}
    };
    const loss = { message: "", sentAt: 0, producer: "resume", id: "a1-1", lost: true };
    window.say = (message) => sockets.at(-1).onmessage({ data: JSON.stringify(message) });
    window.lose = () => say(loss);
    const onRewind = () => (window.rewinds += 1);
    const onState = () => window.reply();
    window.stream = connect({ latest: true, onMessage: () => undefined, onRewind, onState });
    window.restore = () => {
        Object.assign(window, { WebSocket });
        Math.random = random;
    };
}"""


async def test_losses_one_after_another(page: Page) -> None:
    """The wait for the next past doubles, up to a minute, and is short again after a healthy one."""
    await page.evaluate(LOSING)
    rewinds = 0

    async def waits(seconds: int) -> None:
        """Lose messages twice; check that the past is asked for once, after so many seconds."""
        nonlocal rewinds
        await until(page, f"window.opened === {rewinds + 1}")
        await page.evaluate("lose(), lose()")
        await page.clock.run_for(seconds * 1000 - 1)
        assert await page.evaluate("rewinds") == rewinds, seconds
        await page.clock.run_for(1)
        rewinds += 1
        assert await page.evaluate("rewinds") == rewinds, seconds

    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        await waits(seconds)
    await until(page, f"window.opened === {rewinds + 1}")
    await page.evaluate("say({})")
    await page.clock.run_for(60_001)
    await waits(1)
    await page.evaluate("window.stream.close(); window.restore()")


CLOSE = "window.reply = () => undefined; window.stream.close()"


@pytest.mark.parametrize(
    ("reply", "rewinds", "position", "opened"),
    [
        (CLOSE, 0, "a1-1", 1),
        ("window.reply = () => undefined; window.stream.rewind('1h')", 1, None, 2),
        # The second change of the state is that the past is asked for.
        (f"window.reply = () => {{ {CLOSE}; }}", 1, None, 1),
    ],
)
async def test_page_that_acts_on_a_loss(
    page: Page, reply: str, rewinds: int, position: str | None, opened: int
) -> None:
    """The past is asked for once, and not by a stream that the page has closed."""
    await page.evaluate(LOSING)
    await until(page, "window.opened === 1")
    await page.evaluate(f"window.reply = () => {{ {reply}; }}; lose()")
    await page.clock.run_for(3_000)
    found = await page.evaluate("[rewinds, window.stream.position, window.opened]")
    assert found == [rewinds, position, opened]
    await page.evaluate("window.stream.close(); window.restore()")


@pytest.mark.parametrize(("mute", "used"), [(1, "websocket"), (9, "sse")])
async def test_upgrade_without_an_answer_after_one_that_had_it(
    page: Page, server: MisbehavingServer, mute: int, used: str
) -> None:
    """Most often the network was away: WebSocket is kept unless the server answers another request."""

    async def serve(peer: Peer) -> None:
        if peer.transport == "websocket" and 0 < peer.number <= mute:
            await peer.stay()
        await peer.accept()
        await peer.say("here", 1)
        if peer.number == 0 and peer.transport == "websocket":
            peer.cut()
        await peer.stay()

    server.begin(serve)
    await page.evaluate(CONNECT, {"url": f"{server.url}/"})
    await until(page, "window.messages.length === 2")
    assert await page.evaluate("window.stream.transport") == used
    assert len(server.after["sse"]) == (used == "sse")
    await page.evaluate("window.stream.close()")


async def connections(server: MisbehavingServer, number: int) -> list[str]:
    """Wait for connections while the page's time stands still; return where each resumed."""
    async with asyncio.timeout(TIMEOUT_S):
        while len(server.after["sse"]) < number:
            await asyncio.sleep(LOOK_S)
    return server.after["sse"]


async def test_restored_page_connects_again_at_once(page: Page, server: MisbehavingServer) -> None:
    """The browser has closed the connections of a page in its back/forward cache."""
    server.begin(behaves)
    await page.evaluate(CONNECT, {"url": f"{server.url}/", "transport": "sse"})
    await until(page, "window.messages.length === 1")
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert await page.evaluate("window.stream.state") == "reconnecting"
    await until(page, "window.messages.length === 2")
    assert await connections(server, 2) == ["", "a1-1"]
    await page.evaluate("window.stream.close()")


@pytest.mark.parametrize(("headers", "number"), [("", 2), ("Retry-After: 5\r\n", 1)])
async def test_network_that_is_back_is_tried_at_once(
    page: Page, server: MisbehavingServer, headers: str, number: int
) -> None:
    """But not before the time that the server asks for."""

    async def serve(peer: Peer) -> None:
        if peer.number > 0:
            await behaves(peer)
        else:
            await peer.refuse("503 Service Unavailable", "not now", headers)

    server.begin(serve)
    options = {"url": f"{server.url}/", "transport": "sse", "waitForServer": True}
    await page.evaluate(CONNECT, options)
    await until(page, "window.stream.sentence.includes('again in')")
    await page.evaluate("dispatchEvent(new Event('online'))")
    assert len(await connections(server, number)) == number
    await until(page, "window.messages.length === 1")
    await page.evaluate("window.stream.close()")


async def test_sleep_of_the_page_does_not_count_as_silence(
    page: Page, server: MisbehavingServer
) -> None:
    """What arrived meanwhile may still wait for its event. After that, the connection is mute."""

    async def serve(peer: Peer) -> None:
        await peer.accept(welcomes=False)
        await peer.stay()

    server.begin(serve)
    await page.evaluate(CONNECT, {"url": f"{server.url}/", "transport": "sse"})
    await until(page, "window.stream.state === 'open'")
    await page.clock.fast_forward(40_000)
    await page.clock.run_for(1_000)
    assert await page.evaluate("window.states") == ["open"]
    await page.clock.run_for(4_000)
    assert (await page.evaluate("window.states"))[1] == "reconnecting"
    await page.evaluate("window.stream.close()")


async def test_past_of_other_producers_is_complete(page: Page, server: MisbehavingServer) -> None:
    """The page has some messages since the loss, but not those that it had not selected then."""

    async def serve(peer: Peer) -> None:
        await peer.accept()
        if peer.number == 0:
            await peer.say("lost", 0, producer="resume", seq=1, id="a1-8", lost=True)
            await peer.say("ten", 10)
        if peer.number == 2:
            await peer.say("nine", 9)
        await peer.stay()

    server.begin(serve)
    await page.evaluate(CONNECT, {"url": f"{server.url}/", "transport": "sse", "rewind": "10m"})
    await until(page, "window.messages.length === 1")
    await page.evaluate("window.stream.select(['news', 'other'])")
    await until(page, "window.messages.length === 2")
    assert await connections(server, 3) == ["", "a1-10", ""]
    await page.evaluate("window.stream.close()")
