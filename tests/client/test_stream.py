"""`rtdemo.client.connect` on a real server, over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count

import httpx
import pytest

from rtdemo import client
from rtdemo.client import inbox
from rtdemo.client.stream import Stream
from rtdemo.client.waits import Waits
from rtdemo.protocol.close_reasons import Reason
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.client.misbehaving import CASES, Peer, behaves, misbehaving, news
from tests.clients import eventually
from tests.conftest import Start
from tests.docs.markdown import blocks
from tests.free_port import free_port
from tests.tcp_proxy import TcpProxy
from tests.web.login_tokens import SECRET, bearer, token

TIMEOUT_S = 60
"""Seconds for what a busy machine may do late."""
FAST = Waits(first_retry=0.02, max_retry=0.05, first_rewind=0.05, refusal=TIMEOUT_S)
GONE = "ff-3"
"""A position that is in no log."""


def connect(url: str, transport: str = "auto", **options: object) -> Stream:
    """Connect; lost connections are opened again soon."""
    return client.connect(url, transport=transport, **{"waits": FAST, **options})  # type: ignore[arg-type]  # as given


async def publish(server: Server, *texts: object, producer: str = "news") -> None:
    async with httpx.AsyncClient() as http:
        body = [{"value": text, "producer": producer} for text in texts]
        (await http.post(f"{server.web_url}/api/publish", json=body)).raise_for_status()


def cut(server: Server, stream: Stream) -> None:
    """End the connection of a stream."""
    connection = server.hub.find(stream.client)
    assert connection is not None
    connection.end(Reason.CONNECTION_LOST)


async def values(stream: Stream, number: int) -> list[object]:
    """Return the next values that were published."""
    found: list[object] = []
    async with asyncio.timeout(TIMEOUT_S):
        async for message in stream:
            if message.producer == "news":
                found.append(message.value)
            if len(found) == number:
                break
    return found


async def test_messages_have_the_fields_of_the_protocol(server: Server, transport: str) -> None:
    """Without the welcome and the heartbeats, of which a program has no use."""
    async with connect(server.web_url, transport) as stream:
        await publish(server, {"temperature": 21.5})
        message = await anext(stream)
    assert (message.producer, message.value, message.seq) == ("news", {"temperature": 21.5}, 1)
    assert message.message == '{"temperature":21.5}'
    assert message.id == stream.position
    assert message.sent_at > 0
    assert (stream.ledger.received, stream.transport) == (1, transport)


async def test_reports_of_the_server_arrive_where_they_are_wanted(
    server: Server, transport: str
) -> None:
    """`rtdemo tail` prints them: welcomes and losses."""
    async with connect(server.web_url, transport, with_reports=True, after=GONE) as stream:
        assert (await anext(stream)).client == stream.client
        assert (await anext(stream)).lost


async def test_past_comes_again_after_a_loss(server: Server, transport: str) -> None:
    """Of what the program asked for; the sentence and the ledger report the loss."""
    await publish(server, 1, 2)
    sentences: list[str] = []
    options = {"producers": "news", "after": GONE, "report": sentences.append}
    async with connect(server.web_url, transport, rewind="10m", **options) as stream:
        assert await values(stream, 2) == [1, 2]
        assert (stream.ledger.lost, stream.ledger.received, stream.ledger.repeated) == (1, 2, 0)
    async with connect(server.web_url, transport, latest=True, **options) as stream:
        assert await values(stream, 1) == [2]
    assert len(sentences) == 2
    assert all("asking for the past again in" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("earlier", "hint"),
    [(0, ""), (1, "; --rewind or rewind= asks for those that the log still has")],
)
async def test_loss_is_only_counted_without_a_past(
    server: Server, transport: str, earlier: int, hint: str
) -> None:
    """The program goes on with new messages. A past would help only where the log has one."""
    for number in range(earlier):
        await publish(server, number)
    sentences: list[str] = []
    options = {"producers": "news", "after": GONE, "report": sentences.append}
    async with connect(server.web_url, transport, **options) as stream:
        await eventually(lambda: stream.ledger.lost == 1)
        await publish(server, 2)
        assert await values(stream, 1) == [2]
    (sentence,) = sentences
    assert sentence.endswith(f"has lost messages before this client received them{hint}")


async def test_a_lost_connection_resumes_without_a_gap(server: Server, transport: str) -> None:
    """What was published meanwhile arrives once, and one sentence says what happened."""
    sentences: list[str] = []
    async with connect(server.web_url, transport, report=sentences.append) as stream:
        await publish(server, 1)
        assert await values(stream, 1) == [1]
        cut(server, stream)
        await publish(server, 2, 3)
        assert await values(stream, 2) == [2, 3]
    assert (stream.ledger.missing, stream.ledger.repeated) == (0, 0)
    assert len(sentences) == 1
    assert "reconnecting in" in sentences[0]


async def test_producers_past_and_position_are_asked_for(start: Start, transport: str) -> None:
    """A later run continues where an earlier one was."""
    server = await start(publish_names=("news", "other"))
    await publish(server, 0, producer="other")
    await publish(server, 1, 2)
    async with connect(server.web_url, transport, producers=["news"], rewind="10m") as stream:
        assert await values(stream, 1) == [1]
        # 2 has arrived, but the program has not taken it.
        position = stream.position
    async with connect(server.web_url, transport, producers="news", after=position) as stream:
        await publish(server, 3, producer="other")
        await publish(server, 4)
        assert await values(stream, 2) == [2, 4]
    async with connect(server.web_url, transport, latest=True) as stream:
        found = [(await anext(stream)).value for _ in range(2)]
    assert sorted(map(str, found)) == ["3", "4"]


async def test_a_text_is_sent_and_answered(server: Server, transport: str) -> None:
    """Right after `connect`, before the welcome; and after a lost connection."""
    async with connect(server.web_url, transport, producers=["echo"]) as stream:
        await stream.send("hello")
        assert (await anext(stream)).message == "Echo: hello"
        cut(server, stream)
        while stream.is_connected:
            await asyncio.sleep(0.01)
        await stream.send("again")
        assert (await anext(stream)).message == "Echo: again"


async def test_a_text_over_the_limit_is_not_sent(server: Server, transport: str) -> None:
    """The connection stays open: over WebSocket the server would end it."""
    async with connect(server.web_url, transport) as stream:
        with pytest.raises(client.NotSentError, match="64 KiB"):
            await stream.send("ü" * 33_000)
        await publish(server, 1)
        assert await values(stream, 1) == [1]


async def test_a_text_that_the_server_refuses_is_reported(start: Start) -> None:
    """With the server's line, and whether to try again."""
    server = await start(texts_per_connection=1.0)
    async with connect(server.web_url, "sse") as stream:
        with pytest.raises(client.NotSentError, match="429") as caught:
            for _ in range(100):
                await stream.send("hello")
    assert caught.value.retryable
    assert caught.value.retry_after


async def test_a_wait_that_is_cancelled_loses_no_message(server: Server, transport: str) -> None:
    """`asyncio.timeout` around one message is safe."""
    async with connect(server.web_url, transport) as stream:
        for number in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await anext(stream)
            await publish(server, number)
            assert await values(stream, 1) == [number]
    assert stream.ledger.received == 20


async def test_no_task_is_left(server: Server, transport: str) -> None:
    """Whether the program ends it, is cancelled, or fails."""
    before = asyncio.all_tasks()

    async def receive(end: Callable[[], Awaitable[object]]) -> None:
        async with connect(server.web_url, transport):
            await end()

    async def fail() -> None:
        raise KeyError("of the program")

    await receive(lambda: asyncio.sleep(0))
    with pytest.raises(KeyError):
        await receive(fail)
    task = asyncio.create_task(receive(asyncio.Event().wait))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert {task for task in asyncio.all_tasks() - before if "Reconnecting" in repr(task)} == set()
    assert server.hub.connections == [] or await emptied(server)


async def emptied(server: Server) -> bool:
    """Wait until no client is connected."""
    async with asyncio.timeout(TIMEOUT_S):
        while list(server.hub.connections):
            await asyncio.sleep(0.01)
    return True


async def test_close_that_is_cancelled_closes_all(server: Server, transport: str) -> None:
    """As by a second Ctrl-C: the connection ends, and so does iteration."""
    stream = await connect(server.web_url, transport).__aenter__()
    closing = asyncio.create_task(stream.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    assert closing.cancelled()
    async with asyncio.timeout(TIMEOUT_S):
        assert [message async for message in stream] == []
    assert await emptied(server)


async def test_iteration_ends_with_the_stream(server: Server) -> None:
    """Further messages do not arrive, and that is no error."""
    async with connect(server.web_url) as stream:
        pass
    assert [message async for message in stream] == []
    with pytest.raises(RuntimeError, match="call connect again"):
        await stream.__aenter__()


async def test_a_slow_program_loses_nothing(transport: str) -> None:
    """Three times as much as may wait for it arrives in order."""

    async def flood(peer: Peer) -> None:
        await peer.accept()
        for number in range(1, 61):
            await peer.say("x" * 50_000, number)
        await peer.stay()

    async with misbehaving(flood) as server, connect(server.url, transport) as stream:
        taken = [(await anext(stream)).seq for _ in range(60)]
    assert taken == list(range(1, 61))


async def test_position_is_never_ahead_of_the_program(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that waits for room in the inbox has not been received."""
    monkeypatch.setattr(inbox, "MAX_WAITING_CHARACTERS", 1)

    async def serve(peer: Peer) -> None:
        await peer.accept(welcomes=False)
        # In one segment, so that the client has both at once.
        await peer.raw(b"".join(peer.framed(news("a message", number)) for number in (1, 2)))
        await peer.stay()

    async with misbehaving(serve) as server, connect(server.url, transport) as stream:
        assert ((await anext(stream)).id, stream.position) == ("a1-1", "a1-1")
        assert ((await anext(stream)).id, stream.position) == ("a1-2", "a1-2")


async def test_a_server_that_comes_later_is_waited_for() -> None:
    """Without that wish, the first connection raises: most often the address is wrong."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(client.UnreachableError, match="is the server running"):
        async with connect(url):
            pass
    sentences: list[str] = []
    task = asyncio.create_task(entered(connect(url, wait_for_server=True, report=sentences.append)))
    while not sentences:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    assert "reconnecting in" in sentences[0]


async def entered(stream: Stream) -> None:
    async with stream:
        pass


async def test_a_token_is_sent_and_renewed(start: Start, clock: VirtualClock, transport: str) -> None:
    """A function that returns a token is called for each connection, also after one has expired."""
    server = await start(secret=SECRET)
    given: list[str] = []

    def renew() -> str:
        given.append(token(seconds=60))
        return given[-1]

    async with connect(server.web_url, transport, token=renew, report=lambda _: None) as stream:
        await publish(server, 1)
        assert await values(stream, 1) == [1]
        clock.advance(70)
        clock.advance(0)
        await publish(server, 2)
        assert await values(stream, 1) == [2]
    assert len(given) == 2


async def test_a_login_that_is_refused_raises(start: Start, transport: str) -> None:
    """With the server's line; a function is not called for ever."""
    server = await start(secret=SECRET)
    calls = count()

    def wrong() -> str:
        return f"wrong{next(calls)}"

    with pytest.raises(client.LoginError, match="401"):
        async with connect(server.web_url, transport, token=wrong):
            pass
    assert next(calls) == 1


async def test_a_ticket_opens_each_connection(start: Start, transport: str) -> None:
    """A program that has no token gets tickets from one that has."""
    server = await start(secret=SECRET)

    async def ticket() -> str:
        async with httpx.AsyncClient(headers=bearer(token())) as http:
            return str((await http.post(f"{server.web_url}/api/ticket")).json()["ticket"])

    async with connect(server.web_url, transport, ticket=ticket, report=lambda _: None) as stream:
        await publish(server, 1)
        assert await values(stream, 1) == [1]
        cut(server, stream)
        await publish(server, 2)
        assert await values(stream, 1) == [2]


@pytest.mark.asyncio(loop_factories=["pauseless"])
@pytest.mark.parametrize("kind", ["token", "ticket"])
async def test_a_login_function_that_fails_is_called_again(transport: str, kind: str) -> None:
    """What it asks may be away for a moment: it raises, or returns nothing."""
    calls = count()

    async def login() -> str:
        call = next(calls)
        if call == 1:
            raise OSError("the login server is away")
        if call == 2:
            await asyncio.Event().wait()
        return "valid"

    sentences: list[str] = []
    options: dict[str, object] = {
        kind: login,
        "report": sentences.append,
        "waits": replace(FAST, attempt=0.5),
        "wait_for_server": True,
    }
    serve = CASES["closes_after_each_event"].serve
    async with misbehaving(serve) as server, connect(server.url, transport, **options) as stream:
        assert [(await anext(stream)).message for _ in range(2)] == ["1", "2"]
    assert f"{server.url}" in sentences[0].replace("ws://", "http://")
    reports = "\n".join(sentences)
    assert "token= or ticket= raised OSError: the login server is away; reconnecting" in reports
    assert "token= or ticket= raised TimeoutError; reconnecting" in reports


async def test_a_server_that_always_closes_is_asked_ever_less_often(transport: str) -> None:
    """Only a connection that lasted longer than the longest wait begins the waits anew."""
    clock = VirtualClock()
    sentences: list[str] = []
    closes = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.accept()
        if peer.number == 6:
            await closes.wait()
        await peer.close()

    options: dict[str, object] = {
        "report": sentences.append,
        "with_reports": True,
        "waits": Waits(first_retry=0.01, max_retry=10.0),
    }
    async with misbehaving(serve) as server, connect(server.url, transport, **options) as stream:
        reader = stream._open_reader
        reader._time, reader._opened_at = clock.time, 0.0
        for _ in range(7):
            await anext(stream)
        clock.advance(11)
        closes.set()
        await anext(stream)
    assert [sentence.rpartition("in ")[2] for sentence in sentences][:2] == ["0.0 s", "0.0 s"]
    assert sentences[5].rpartition("in ")[2] in ("0.2 s", "0.3 s")
    assert sentences[6].rpartition("in ")[2] == "0.0 s"


def give_each_try(stream: Stream, seconds: float) -> None:
    """Change the time of each further try to open a connection."""
    reader = stream._open_reader
    reader._options = replace(reader._options, waits=replace(FAST, attempt=seconds))


async def test_websocket_is_kept_over_an_outage_without_answers() -> None:
    """Over SSE nothing answers either: that is no reason to use it for days."""
    late: list[str] = []

    def report(sentence: str) -> None:
        if "does not respond" in sentence:
            late.append(sentence.rpartition("; ")[2].split()[0])
        # First the WebSocket had no answer, and then the question whether the server is back.
        if len(late) == 3:
            give_each_try(stream, TIMEOUT_S)
            proxy.restore()

    async with misbehaving(behaves) as server, asyncio.timeout(TIMEOUT_S):
        proxy = TcpProxy(int(server.url.rpartition(":")[2]))
        await proxy.start()
        try:
            async with connect(f"http://127.0.0.1:{proxy.port}", report=report) as stream:
                await anext(stream)
                give_each_try(stream, 0.05)
                proxy.swallow()
                proxy.refuse()
                await proxy.start()
                await anext(stream)
                assert (stream.transport, stream.reason) == ("websocket", "")
        finally:
            await proxy.close()
    assert late == ["reconnecting"] * 3
    assert server.after["sse"] == []


async def test_websocket_that_gets_no_answer_beside_other_requests_is_changed() -> None:
    """Then it is the WebSocket that something on the way swallows."""
    sentences: list[str] = []
    cuts = asyncio.Event()

    async def serve(peer: Peer) -> None:
        if peer.transport == "websocket" and peer.number > 0:
            await peer.stay()
        await peer.accept()
        await peer.say(peer.transport, 1)
        if peer.transport == "websocket":
            await cuts.wait()
            peer.cut()
        await peer.stay()

    def report(sentence: str) -> None:
        sentences.append(sentence)
        if "trying SSE" in sentence:
            give_each_try(stream, TIMEOUT_S)

    async with (
        misbehaving(serve) as server,
        asyncio.timeout(TIMEOUT_S),
        connect(server.url, report=report) as stream,
    ):
        assert (await anext(stream)).message == "websocket"
        give_each_try(stream, 0.2)
        cuts.set()
        assert (await anext(stream)).message == "sse"
        assert stream.reason == "the WebSocket does not respond"
    assert "does not respond; reconnecting" in sentences[1]
    assert "does not respond; trying SSE" in sentences[-1]


async def test_handshake_that_a_page_answers() -> None:
    """The error says in words that the address may be wrong, not what a library makes of a 200."""
    async with misbehaving(lambda peer: peer.refuse("200 OK", "<html>hello</html>")) as server:
        url = f"{server.url.replace('http', 'ws', 1)}/ws"
        with pytest.raises(client.RefusedError, match=r" answered 200; is it the right address\?$"):
            await entered(connect(url))


async def test_refusal_is_reported_once_the_other_transport_is_open() -> None:
    """Only then it is known that it was a reason against this transport alone."""
    sentences: list[str] = []
    before: list[str] | None = None

    async def serve(peer: Peer) -> None:
        nonlocal before
        if peer.transport == "websocket":
            await peer.refuse("400 Bad Request", "a handshake needs HTTP/1.1")
            return
        before = list(sentences)
        await peer.accept()
        await peer.say("sse", 1)
        await peer.stay()

    async with (
        misbehaving(serve) as server,
        asyncio.timeout(20),
        connect(server.url, report=sentences.append) as stream,
    ):
        assert (await anext(stream)).message == "sse"
    assert before == []
    [sentence] = sentences
    assert sentence.endswith("answered 400: a handshake needs HTTP/1.1; trying SSE")


async def test_refusal_is_reported_soon_if_the_other_transport_takes_long() -> None:
    """Else the user would wait without a word for as long as one try may take."""
    sentences: list[str] = []

    async def serve(peer: Peer) -> None:
        if peer.transport == "websocket":
            await peer.refuse("403 Forbidden", "no upgrade")
        await peer.stay()

    async with misbehaving(serve) as server, asyncio.timeout(TIMEOUT_S):
        waits = replace(FAST, refusal=0.01, attempt=2 * TIMEOUT_S)
        opening = asyncio.create_task(entered(connect(server.url, report=sentences.append, waits=waits)))
        await eventually(lambda: bool(sentences))
        assert not opening.done()
        opening.cancel()
        await asyncio.wait({opening})
    [sentence] = sentences
    assert sentence.endswith("answered 403: no upgrade; trying SSE")


async def test_refusals_of_two_kinds_are_two_lines() -> None:
    """Each transport has its own reason."""
    sentences: list[str] = []

    async def serve(peer: Peer) -> None:
        line = "no upgrade" if peer.transport == "websocket" else "not on Sundays"
        await peer.refuse("403 Forbidden", line)

    async with misbehaving(serve) as server, asyncio.timeout(20):
        with pytest.raises(client.RefusedError, match="not on Sundays"):
            await entered(connect(server.url, report=sentences.append))
    [sentence] = sentences
    assert sentence.endswith("answered 403: no upgrade; trying SSE")


@pytest.mark.asyncio(loop_factories=["pauseless"])
async def test_a_text_without_an_answer_ends() -> None:
    """After as long as one try to connect may take."""

    async def serve(peer: Peer) -> None:
        if peer.transport == "sse":
            await peer.accept()
        await peer.stay()

    options: dict[str, object] = {"waits": replace(FAST, attempt=0.5), "wait_for_server": True}
    async with misbehaving(serve) as mute, connect(mute.url, "sse", **options) as stream:
        with pytest.raises(client.NotSentError, match="does not respond"):
            await stream.send("hello")


async def test_a_text_after_the_end_is_refused_at_once(transport: str) -> None:
    """To wait for a connection would be in vain: after an error that is final, or after `close`."""
    serve = CASES["ends_an_expired_login"].serve
    async with misbehaving(serve) as server:
        async with connect(server.url, transport) as stream:
            await anext(stream)
            with pytest.raises(client.LoginError):
                await anext(stream)
            with pytest.raises(client.NotSentError, match="call connect again"):
                await stream.send("hello")
        async with connect(server.url, transport) as stream:
            await stream.close()
            with pytest.raises(client.NotSentError, match="call connect again"):
                await stream.send("hello")


async def test_headers_are_sent_with_each_request(transport: str) -> None:
    """To this server alone: a redirect to another one is not followed."""
    heads: list[object] = []

    async def serve(peer: Peer) -> None:
        heads.append(peer.head.get("x-key"))
        await behaves(peer)

    async with (
        misbehaving(serve) as server,
        connect(server.url, transport, headers={"X-Key": "k"}) as stream,
    ):
        await anext(stream)
        leads_away = f"Location: {server.url}\r\n"
        async with misbehaving(lambda peer: peer.refuse("307 Away", "moved", leads_away)) as first:
            with pytest.raises(client.RefusedError, match=f"redirects to {server.url}"):
                async with connect(first.url, transport, headers={"X-Key": "k"}):
                    pass
    assert heads == ["k"]


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("ftp://x", {}, "has the scheme"),
        ("ws://127.0.0.1:1", {"transport": "sse"}, "without sse"),
        ("", {}, "has no host"),
    ],
)
def test_a_wrong_address_raises_at_once(url: str, options: dict[str, str], words: str) -> None:
    """Before anything is opened."""
    with pytest.raises(client.AddressError, match=words):
        client.connect(url, **options)  # type: ignore[arg-type]  # as a user may


async def test_another_server_is_followed(transport: str) -> None:
    """One WebSocket or event stream. Its events may have any name."""

    async def serve(peer: Peer) -> None:
        await peer.accept(welcomes=False)
        for name in (b"expired", b"price") if transport == "sse" else (b"",):
            await peer.raw((b"event: %b\n" % name if name else b"") + peer.framed(news("one", 1)))
        await peer.stay()

    async with misbehaving(serve) as server:
        path = {"websocket": "/ws", "sse": "/api/sse"}[transport]
        url = server.url + path if transport == "sse" else server.url.replace("http", "ws") + path
        async with connect(url) as stream:
            for _ in range(2 if transport == "sse" else 1):
                assert (await anext(stream)).message == "one"
            assert stream.transport == transport


async def test_program_of_the_documentation_runs(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints the past, then each new value."""
    (block,) = (one for one in blocks("docs/clients.md", "python") if one.name == "receive.py")
    await publish(server, 0.5, producer="loss")
    source = block.text.replace("http://localhost:3000", server.web_url).replace(
        "asyncio.run(main())", ""
    )
    found: dict[str, Callable[[], Awaitable[None]]] = {}
    exec(source, found)
    task = asyncio.ensure_future(found["main"]())
    async with asyncio.timeout(TIMEOUT_S):
        while capsys.readouterr().out != "loss 0.5\n":
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
