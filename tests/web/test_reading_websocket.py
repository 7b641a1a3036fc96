"""When the server reads from a WebSocket, when it pauses, and how it ends one that reads nothing."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise
from pathlib import Path
from ssl import SSLContext

import pytest

from rtdemo.hub.connection import Connection
from rtdemo.hub.outbox import OUTBOX_LIMIT_BYTES, Outbox
from rtdemo.protocol.close_reasons import Reason
from rtdemo.server.server import Server
from rtdemo.web import websocket
from rtdemo.web.websocket import (
    FRAMES_PER_TURN,
    PARSED_BYTES,
    READ_BYTES,
    REPLIES_LIMIT_BYTES,
    TEXTS_PER_TURN,
    UNREAD_BYTES,
    WebSocket,
)
from tests.clients import eventually
from tests.conftest import UNLIMITED, Start
from tests.raw_client import (
    CLOSE,
    CONTINUATION,
    GOODBYE,
    PING,
    PONG,
    TEXT,
    RawClient,
    frame,
    frames,
    request,
    turns,
    unmasked,
)
from tests.tls_client import TlsClient

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

WAITING = """
import asyncio
from rtdemo import hookimpl

@hookimpl
async def receive(client, text):
    await asyncio.Event().wait()
"""


STUBBORN = """
import asyncio
from rtdemo import hookimpl

@hookimpl
async def receive(client, text):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if text == "end":
                raise
            text = "end"
"""


class Opened:
    """A server with one WebSocket.

    Attributes:
        server: the server.
        client: the other end.
        protocol: the server's protocol of the connection.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._protocols: list[Outbox] = []
        self.server: Server
        self.client: RawClient

    async def open(self, transport: str = "websocket", **settings: object) -> Opened:
        """Start the server, and connect; the client has no receive buffer to speak of."""
        self.server = await self._start(wrap_outbox=self._note, **UNLIMITED, **settings)
        self.client = RawClient(self.server, transport)
        self.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await self.client.connect()
        await self.client.send(request(self.server, transport))
        await self.client.read_until(b"established")
        return self

    def _note(self, outbox: Outbox) -> Outbox:
        self._protocols.append(outbox)
        return outbox

    @property
    def protocol(self) -> WebSocket:
        (protocol,) = self._protocols
        assert isinstance(protocol, WebSocket)
        return protocol

    @property
    def connection(self) -> Connection:
        (connection,) = self.server.hub.connections
        return connection


@pytest.mark.parametrize("count", [40, 4000])
async def test_many_texts_in_one_record_of_tls_are_echoed(
    start: Start, server_context: SSLContext, client_context: SSLContext, count: int
) -> None:
    """Each is echoed, in order; the connection stays, and further texts are read."""
    server = await start(ssl_context=server_context, **UNLIMITED)
    client = await TlsClient.connect(server, "websocket", client_context)
    await client.read_until(b"established")
    client.writer.write(b"".join(frame(TEXT, b"%d" % n) for n in range(count)))
    await client.read_until(b'"Echo: %d"' % (count - 1))
    assert len(server.hub) == 1
    client.writer.write(frame(TEXT, b"more") + frame(CLOSE, GOODBYE))
    echoes = list(map(str, frames(await client.read_to_end())))[1:]
    assert echoes == [*(f"Echo: {n}" for n in range(count)), "Echo: more", "close 1000"]
    await client.leave()


@pytest.mark.parametrize("before", [0, 20])
async def test_error_of_the_server_while_it_handles_a_text(
    start: Start, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """The connection ends with 1011, also if the text had to wait for its turn."""
    opened = await Opened(start).open()
    receive = opened.server.hub.receive

    def failing(connection: Connection, text: str) -> object:
        if text == "fail":
            raise OverflowError
        return receive(connection, text)

    monkeypatch.setattr(opened.server.hub, "receive", failing)
    await opened.client.send(frame(TEXT, b"x") * before + frame(TEXT, b"fail") + frame(TEXT, b"x"))
    await opened.client.read_until(b"\x88")
    await opened.client.send(frame(CLOSE, GOODBYE))
    answers = list(map(str, frames(await opened.client.read_to_end())))
    assert answers[1:] == ["Echo: x"] * before + ["close 1011"]
    opened.client.leave()


async def test_pings_of_a_client_that_reads_nothing(start: Start) -> None:
    """The server stops reading once the outbox is full; the pongs in it are bounded."""
    opened = await Opened(start).open()
    sending = asyncio.ensure_future(opened.client.send(frame(PING, b"x" * 125) * 100_000))
    await eventually(lambda: opened.protocol._is_full)
    for _ in range(200):
        await turns(1)
        assert opened.connection.outbox_bytes < 2 * REPLIES_LIMIT_BYTES
    sending.cancel()
    await asyncio.wait({sending})
    opened.client.leave(by_reset=True)


@pytest.mark.parametrize("size", [10, 60_000])
async def test_texts_of_a_client_that_reads_nothing_take_little_memory(start: Start, size: int) -> None:
    """Its replies and its unread texts are bounded; the next heartbeats end the connection."""
    opened = await Opened(start).open(heartbeat=600)
    text = frame(TEXT, b"x" * size)
    sending = asyncio.ensure_future(opened.client.send(text * (12_000_000 // len(text))))
    await eventually(lambda: not opened.protocol.transport.is_reading())
    protocol, connection = opened.protocol, opened.connection
    await turns(200)
    assert connection.outbox_bytes <= REPLIES_LIMIT_BYTES + 70_000
    assert len(protocol._unread) <= UNREAD_BYTES + READ_BYTES
    protocol.beat()
    if connection.reason is None:
        protocol.beat()
    assert connection.reason is Reason.CONNECTION_LOST
    sending.cancel()
    await asyncio.wait({sending})
    opened.client.leave(by_reset=True)


async def test_client_that_reads_slowly_is_alive(start: Start) -> None:
    """While its replies wait no pong is read; that it reads them is enough."""
    opened = await Opened(start).open(heartbeat=600)
    text = frame(TEXT, b"x" * 1000)
    sending = asyncio.ensure_future(opened.client.send(text * 12_000))
    await eventually(lambda: not opened.protocol.transport.is_reading())
    for _ in range(10):
        opened.protocol.beat()
        end = len(opened.client.received) + 512 * 1024
        while len(opened.client.received) < end:
            assert await opened.client.read_more()
    assert opened.connection.reason is None
    sending.cancel()
    await asyncio.wait({sending})
    opened.client.leave(by_reset=True)


async def test_pings_of_a_client_that_reads_late_are_answered(start: Start) -> None:
    """All are answered, and the server reads on."""
    opened = await Opened(start).open()
    sending = asyncio.ensure_future(opened.client.send(frame(PING, b"x" * 125) * 20_000))
    await eventually(lambda: opened.protocol._is_full)
    while opened.client.received.count(b"\x8a\x7d") < 20_000:
        assert await opened.client.read_more()
    await sending
    opened.client.leave()


@pytest.mark.parametrize("piece", [b"", b"ab"])
async def test_many_fragments(start: Start, piece: bytes) -> None:
    """The server keeps an object for none of them: those of two bytes took thirty times their size."""
    opened = await Opened(start).open()
    many = frame(CONTINUATION, piece, final=False) * 1000
    await opened.client.send(frame(TEXT, b"a", final=False) + many + frame(PING, b"end"))
    await opened.client.read_until(b"end")
    assert bytes(opened.protocol._message or b"") == b"a" + piece * 1000
    await opened.client.send(frame(CONTINUATION, b"b"))
    await opened.client.read_until(b"Echo: a" + piece * 1000 + b"b")
    assert opened.protocol._message is None
    opened.client.leave()


async def test_no_ping_after_the_close_frame(start: Start) -> None:
    """Nothing follows a close frame, whichever side it is that ends the connection."""
    opened = await Opened(start).open()
    opened.connection.end(Reason.SERVER_ERROR)
    opened.protocol.beat()
    await opened.client.send(frame(CLOSE, GOODBYE))
    assert str(frames(await opened.client.read_to_end())[-1]) == "close 1011"
    opened.client.leave()


@pytest.mark.parametrize(("code", "reason"), [("", b""), ("1000", b""), ("4999", "später".encode())])
async def test_usual_close_frame_needs_no_parser(start: Start, code: str, reason: bytes) -> None:
    """It is answered with its code, nothing behind it counts, and the client has left."""
    opened = await Opened(start).open()
    protocol, connection = opened.protocol, opened.connection
    payload = int(code).to_bytes(2, "big") + reason if code else b""
    await opened.client.send(frame(CLOSE, payload) + frame(TEXT, b"late"))
    assert str(frames(await opened.client.read_to_end())[-1]) == f"close {code or 1000}"
    assert protocol.parser is None
    assert connection.reason is Reason.CLIENT_LEFT
    assert opened.server.hub.traffic["websocket"].received == 0
    opened.client.leave()


async def test_no_ping_after_an_error_of_the_client(start: Start) -> None:
    """The server has half-closed: a write would raise."""
    opened = await Opened(start).open()
    await opened.client.send(unmasked(TEXT, b"x"))
    await opened.client.read_until(b"\x88")
    opened.protocol.beat()
    assert str(frames(await opened.client.read_to_end())[-1]) == "close 1002"
    opened.client.leave()


async def test_client_stays_alive_while_a_plugin_works(start: Start, tmp_path: Path) -> None:
    """The server still reads pongs then: it does not take the client for lost."""
    plugin = tmp_path / "waiting.py"
    plugin.write_text(WAITING)
    opened = await Opened(start).open(files=(plugin,))
    await opened.client.send(frame(TEXT, b"x"))
    await eventually(lambda: opened.server.hub.traffic["websocket"].received == 1)
    for _ in range(3):
        opened.protocol.beat()
        await opened.client.send(frame(PONG, b""))
        await turns(20)
    assert opened.connection.reason is None
    opened.client.leave()


async def test_client_that_leaves_while_a_plugin_works(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server notices it at once, and gives the plugin two more seconds."""
    monkeypatch.setattr(websocket, "FINISH_TIMEOUT_S", 0.0)
    plugin = tmp_path / "waiting.py"
    plugin.write_text(WAITING)
    opened = await Opened(start).open(files=(plugin,))
    await opened.client.send(frame(TEXT, b"x"))
    await eventually(lambda: opened.server.hub.traffic["websocket"].received == 1)
    opened.client.leave()
    await eventually(lambda: len(opened.server.hub) == 0)


@pytest.mark.parametrize(
    ("first", "most"),
    [
        (b"", FRAMES_PER_TURN),
        # Only the parser reads this. It gets pieces, and reads the whole of one.
        (frame(TEXT, b"x" * 200), FRAMES_PER_TURN + PARSED_BYTES // len(frame(PING, b""))),
    ],
    ids=["short frames", "parser"],
)
async def test_flood_of_pings_delays_no_other_task(
    start: Start, monkeypatch: pytest.MonkeyPatch, first: bytes, most: int
) -> None:
    """After some frames of one client, other tasks of the event loop have their turn."""
    opened = await Opened(start).open()
    opened.protocol.data_received(first)
    answered = 0
    answered_before_turn: list[int] = []

    def count(_protocol: WebSocket, _data: bytes) -> bool:
        nonlocal answered
        answered += 1
        return False

    def other_task() -> None:
        answered_before_turn.append(answered)
        if answered < 5000:
            asyncio.get_running_loop().call_soon(other_task)

    monkeypatch.setattr(WebSocket, "write", count)
    opened.protocol.data_received(frame(PING, b"") * 5000)
    other_task()
    await eventually(lambda: answered == 5000)
    assert max(after - before for before, after in pairwise([0, *answered_before_turn])) <= most
    opened.client.leave()


async def test_parser_reads_the_whole_of_a_flood(start: Start) -> None:
    """The parser gets a flood in parts, and reads all of it."""
    opened = await Opened(start).open()
    long = frame(TEXT, b"x" * 200)  # only the parser reads this
    opened.protocol.data_received(long + frame(PING, b"p") * 4000 + frame(TEXT, b"last"))
    assert opened.protocol.transport.is_reading()
    await opened.client.read_until(b"Echo: last")
    opened.client.leave()


async def test_server_can_end_a_connection_while_a_plugin_works(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server closes once the client has answered the close frame, without its timer."""
    monkeypatch.setattr(WebSocket, "abort_later", lambda *_: None)
    plugin = tmp_path / "waiting.py"
    plugin.write_text(WAITING)
    opened = await Opened(start).open(files=(plugin,))
    await opened.client.send(frame(TEXT, b"x"))
    await eventually(lambda: opened.server.hub.traffic["websocket"].received == 1)
    opened.connection.end(Reason.GOING_AWAY)
    await opened.client.read_until(b"\x88")
    await opened.client.send(frame(CLOSE, GOODBYE))
    await opened.client.read_to_end()
    opened.client.leave()


@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_client_that_half_closes_and_reads_nothing(start: Start, transport: str) -> None:
    """It leaves the hub, although its outbox is never sent."""
    opened = await Opened(start).open(transport)
    while opened.connection.outbox_bytes < OUTBOX_LIMIT_BYTES // 2:
        opened.connection.send("test", "x" * 60_000, periodic=False)
        await turns(1)
    opened.client.end()
    await eventually(lambda: len(opened.server.hub) == 0)
    opened.client.leave(by_reset=True)


async def test_plugin_that_catches_its_cancellation_keeps_no_connection(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that has left leaves the hub, whatever a plugin does with its text."""
    monkeypatch.setattr(websocket, "FINISH_TIMEOUT_S", 0.0)
    plugin = tmp_path / "stubborn.py"
    plugin.write_text(STUBBORN)
    opened = await Opened(start).open(files=(plugin,))
    await opened.client.send(frame(TEXT, b"x"))
    await eventually(lambda: opened.protocol._task is not None)
    task = opened.protocol._task
    assert task is not None
    opened.client.leave(by_reset=True)
    await eventually(lambda: len(opened.server.hub) == 0)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})


async def test_bad_frame_that_is_read_after_its_client_has_left_raises_nothing(start: Start) -> None:
    """Texts before it took all turns until then. The connection has nothing left to close."""
    opened = await Opened(start).open()
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    opened.protocol.data_received(frame(TEXT, b"x") * 8 * TEXTS_PER_TURN + unmasked(TEXT, b"x"))
    opened.protocol.transport.abort()
    await turns(20)
    assert (errors, len(opened.server.hub)) == ([], 0)
    opened.client.leave(by_reset=True)
