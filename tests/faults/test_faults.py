"""Peers that die, stall or flood, and do not affect any other client."""

from __future__ import annotations

import asyncio
import socket
import struct
from urllib.parse import urlsplit

import httpx
import pytest

from rtdemo.engine.interface import Draft
from rtdemo.hub.connection import Connection
from rtdemo.hub.hub import Hub
from rtdemo.hub.outbox import OUTBOX_LIMIT_BYTES, OUTBOX_TIMEOUT_S
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Message
from rtdemo.server import server as server_module
from rtdemo.server import sockets as listen
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.web.websocket import REPLIES_LIMIT_BYTES
from tests.clients import Ended, eventually
from tests.conftest import UNLIMITED, Connect, Start

UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


class RawPeer:
    """A client on a bare socket; the test decides when it reads, leaves or resets."""

    def __init__(self, server: Server, transport: str, receive_buffer: int | None = None) -> None:
        url = {"websocket": server.websocket_url, "sse": f"{server.web_url}/api/sse"}[transport]
        self.port, self.path = urlsplit(url).port, urlsplit(url).path
        self.headers = UPGRADE if transport == "websocket" else ""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setblocking(False)

    async def connect(self) -> RawPeer:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", self.port))
        request = f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{self.headers}\r\n"
        await loop.sock_sendall(self.socket, request.encode())
        answer = b""
        while b"established" not in answer:
            answer += await loop.sock_recv(self.socket, 4096)
        return self

    def leave(self, by_reset: bool) -> None:
        if by_reset:
            # Linger of zero seconds: close sends RST.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def read(self, size: int) -> None:
        """Read and drop so many bytes."""
        while size > 0:
            size -= len(await asyncio.get_running_loop().sock_recv(self.socket, min(size, 64 * 1024)))

    async def read_to_end(self) -> bytes:
        data = b""
        while chunk := await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20):
            data += chunk
        return data


async def fill(connection: Connection) -> None:
    """Send messages that are not dropped until the outbox is so full that it stays full."""
    while connection.outbox_bytes < OUTBOX_LIMIT_BYTES * 2:
        connection.send("filler", "x" * 10_000, periodic=False)
        await asyncio.sleep(0)


@pytest.fixture
def reasons(monkeypatch: pytest.MonkeyPatch) -> list[Reason | None]:
    """The reasons of connections that ended, in order."""
    seen: list[Reason | None] = []
    original = Hub.leave

    def leave(hub: Hub, connection: Connection, reason: Reason) -> None:
        original(hub, connection, reason)
        seen.append(connection.reason)

    monkeypatch.setattr(Hub, "leave", leave)
    return seen


@pytest.fixture
def small_send_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink the kernel's send buffers, so that the outbox of a peer that does not read fills fast."""
    original = listen.bind

    def bind(prefix: str, host: str, port: int) -> list[socket.socket]:
        sockets = original(prefix, host, port)
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return sockets

    monkeypatch.setattr(server_module, "bind", bind)


async def test_500_clients_come_and_go_half_by_reset(server: Server, transport: str) -> None:
    """A client that leaves, cleanly or not, frees its connection, ticks and tasks."""
    tasks = len(asyncio.all_tasks())
    peers = [await RawPeer(server, transport).connect() for _ in range(500)]
    assert len(server.hub) == 500
    assert server.hub.schedule.ticks == 1000
    for number, peer in enumerate(peers):
        peer.leave(by_reset=number % 2 == 0)
    await eventually(lambda: len(server.hub) == 0)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    assert server.hub.schedule.ticks == 0


@pytest.mark.usefixtures("small_send_buffer")
async def test_client_that_does_not_read_is_dropped_then_ended(
    start: Start, connect: Connect, clock: VirtualClock, transport: str, reasons: list[Reason | None]
) -> None:
    """Its outbox stays bounded, dropped messages are counted, and its connection ends as too slow."""
    server = await start()
    reader = await connect(server, transport)
    slow = await RawPeer(server, transport, receive_buffer=4096).connect()
    (connection,) = [c for c in server.hub.connections if c.client.id != reader.welcome["client"]]
    await fill(connection)
    clock.advance(OUTBOX_TIMEOUT_S - 4.1)
    assert server.hub.traffic[connection.client.transport].drops > 0
    filled = connection.outbox_bytes
    clock.advance(4)
    assert connection.outbox_bytes <= filled
    assert len(server.hub) == 2
    clock.advance(0.2)
    await eventually(lambda: reasons == [Reason.TOO_SLOW])
    slow.leave(by_reset=False)
    await reader.say("hello")
    while (await reader.receive())["producer"] != "echo":
        pass


@pytest.mark.usefixtures("small_send_buffer")
async def test_flood_of_texts_is_answered_and_bounded(start: Start) -> None:
    """The server reads nothing more from a client that does not read its replies."""
    server = await start(**UNLIMITED)
    peer = await RawPeer(server, "websocket", receive_buffer=4096).connect()
    (connection,) = server.hub.connections
    frame = b"\x81\xfe" + struct.pack("!H", 60_000) + bytes(4) + b"x" * 60_000
    loop = asyncio.get_running_loop()
    flood = asyncio.ensure_future(loop.sock_sendall(peer.socket, frame * 500))
    await eventually(lambda: connection.outbox_bytes > REPLIES_LIMIT_BYTES)
    answered = server.hub.traffic["websocket"].received
    for _ in range(200):
        await asyncio.sleep(0)
    assert server.hub.traffic["websocket"].received <= answered + 1
    assert connection.outbox_bytes < REPLIES_LIMIT_BYTES + 70_000
    # Once the client reads, it gets a reply to each text.
    reading = asyncio.ensure_future(read_echoes(peer, 500))
    await flood
    assert await reading == 500
    peer.leave(by_reset=True)


async def read_echoes(peer: RawPeer, count: int) -> int:
    loop, seen, tail = asyncio.get_running_loop(), 0, b""
    while seen < count:
        data = tail + await loop.sock_recv(peer.socket, 1 << 20)
        seen += data.count(b'"Echo: ')
        tail = data[-6:]
    return seen


@pytest.mark.usefixtures("small_send_buffer")
async def test_post_is_refused_while_the_stream_is_full(start: Start, clock: VirtualClock) -> None:
    """An SSE client that does not read its replies gets 503 with Retry-After, so they are bounded."""
    server = await start()
    peer = await RawPeer(server, "sse", receive_buffer=4096).connect()
    (connection,) = server.hub.connections
    await fill(connection)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post("/api/messages", params={"client": connection.client.id}, content=b"x")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    peer.leave(by_reset=True)


async def test_texts_before_a_sudden_end_are_still_handled(
    server: Server, reasons: list[Reason | None]
) -> None:
    """Texts that a client sent before its connection was lost are received."""
    peer = await RawPeer(server, "websocket").connect()
    frames = b"".join(bytes([0x81, 0x81, 0, 0, 0, 0]) + str(n).encode() for n in range(10))
    peer.socket.send(frames)
    peer.leave(by_reset=False)
    await eventually(lambda: len(reasons) == 1)
    assert reasons == [Reason.CONNECTION_LOST]
    assert server.hub.traffic["websocket"].received == 10


async def test_reasons_of_an_end(server: Server, connect: Connect, reasons: list[Reason | None]) -> None:
    """A close frame or the end of a stream means that the client left; a reset socket is lost."""
    socket_peer = await connect(server, "websocket")
    await socket_peer.leave()
    await eventually(lambda: len(reasons) == 1)
    (await RawPeer(server, "websocket").connect()).leave(by_reset=True)
    await eventually(lambda: len(reasons) == 2)
    (await RawPeer(server, "sse").connect()).leave(by_reset=True)
    await eventually(lambda: len(reasons) == 3)
    assert reasons == [Reason.CLIENT_LEFT, Reason.CONNECTION_LOST, Reason.CLIENT_LEFT]


async def test_shutdown_closes_each_transport_in_its_way(
    start: Start, connect: Connect, transport: str
) -> None:
    """WebSocket closes with 1001; an event stream ends after a `retry:` field."""
    server = await start()
    peer = await connect(server, transport)
    raw = await RawPeer(server, transport).connect()
    stopping = asyncio.ensure_future(server.stop())
    with pytest.raises(Ended) as ended:
        while True:
            await peer.receive()
    assert ended.value.code == {"websocket": 1001, "sse": None}[transport]
    if transport == "sse":
        data = await raw.read_to_end()
        assert b"retry: " in data
        assert data.endswith(b"0\r\n\r\n")
    raw.leave(by_reset=False)
    await stopping


@pytest.mark.usefixtures("small_send_buffer")
async def test_shutdown_does_not_wait_for_clients_that_do_not_read(start: Start, transport: str) -> None:
    """Clients with a full outbox are aborted, and `stop` returns."""
    server = await start()
    peers = [await RawPeer(server, transport, receive_buffer=4096).connect() for _ in range(20)]
    for connection in server.hub.connections:
        await fill(connection)
    await server.stop()
    assert len(server.hub) == 0
    for peer in peers:
        peer.leave(by_reset=False)


async def test_new_streams_are_refused_while_draining(server: Server) -> None:
    """A request on a kept-alive connection gets 503 with Retry-After; /readyz answers `draining`."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        server.hub.refusing = True
        ready = await http.get("/readyz")
        stream = await http.get("/api/sse")
    assert (ready.status_code, ready.text) == (503, "draining\n")
    assert (stream.status_code, stream.headers["Retry-After"]) == (503, "2")


async def test_client_that_reads_steadily_is_not_too_slow(
    start: Start, clock: VirtualClock, transport: str
) -> None:
    """A slow line takes megabytes of history; the kernel's buffer does not hide that it reads."""
    server = await start(history_bytes=1 << 24)
    first = server.hub.engine.log.last
    drafts = [Draft(Message("x" * 60_000), "news")]
    for _ in range(120):
        await server.hub.publish(drafts)
    peer = RawPeer(server, transport, receive_buffer=128 * 1024)
    peer.path += f"?last_event_id={first}"
    await peer.connect()
    (connection,) = server.hub.connections
    await eventually(lambda: connection.is_full)
    for _ in range(20):
        offset = connection.offset
        # The kernel reports what was read when it likes, so no number of bytes is always enough.
        while connection.offset == offset:
            await peer.read(64 * 1024)
            await asyncio.sleep(0)
        clock.advance(OUTBOX_TIMEOUT_S / 2)
        assert connection.reason is None
    peer.leave(by_reset=True)
