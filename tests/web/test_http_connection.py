"""How long an HTTP connection may take, and how much it may send."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from aiohttp.web_protocol import RequestHandler

from rtdemo.server import server as server_module
from rtdemo.server import sockets as listen
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.timing.deadlines import Deadlines
from rtdemo.web.http_connection import (
    BODY_TIMEOUT_S,
    HEAD_TIMEOUT_S,
    KEEPALIVE_TIMEOUT_S,
    LINGER_S,
    WRITE_CHECK_S,
    WRITE_TIMEOUT_S,
    HttpConnection,
    HttpServer,
)
from rtdemo.web.request_parser import MAX_BODY_BYTES, MAX_HEAD_BYTES
from tests.clients import eventually
from tests.conftest import Start
from tests.faults.test_faults import small_send_buffer
from tests.garbage import collect_garbage
from tests.raw_client import RawClient, request, turns

__all__ = ["small_send_buffer"]

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
BEGUN = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Unfinished: "
OK = b"\r\n\r\nok\n"
KERNEL_S = 0.1
"""Seconds until the kernel's buffers are full on both sides: it acknowledges up to 40 ms late."""
Open = Callable[[], Awaitable[RawClient]]


@pytest.fixture
async def open_client(server: Server) -> AsyncIterator[Open]:
    """Connect a client to the web site; it leaves with the test."""
    clients: list[RawClient] = []

    async def opened() -> RawClient:
        clients.append(await RawClient(server, "sse").connect())
        return clients[-1]

    yield opened
    for client in clients:
        client.leave(by_reset=True)


def of_size(size: int, line: int = 16 * 1024) -> bytes:
    """Return a complete head of so many bytes, with headers of up to `line` bytes."""
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    while (room := size - len(head) - 2) > 0:
        name = b"X-%d: " % len(head)
        # What remains must have room for a whole header, or be nothing.
        length = room if room <= line else min(line, room - 100)
        head += name + b"x" * (length - len(name) - 2) + b"\r\n"
    return head + b"\r\n"


async def arrived(server: Server, count: int = 1) -> None:
    """Wait until so many heads have begun, with no byte on its way."""
    await eventually(lambda: len(connections(server)) == count)
    await turns(20)


def connections(server: Server) -> list[RequestHandler]:
    """Return the connections that are aiohttp's."""
    assert server._runner is not None
    assert server._runner.server is not None
    return server._runner.server.connections


def status(answer: bytes) -> int:
    """Return the status of the last answer, after checking that it is one line that protects."""
    head, _, body = answer[answer.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    assert body.count(b"\n") == 1, body
    assert len(head) + len(body) < 1024
    assert b"\r\nServer:" not in head
    assert b"\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'" in head
    return int(head[9:12])


@pytest.mark.parametrize("begun", [b"", BEGUN], ids=["new", "reused"])
async def test_head_of_64_kib_is_served_and_a_longer_one_is_431(
    server: Server, open_client: Open, begun: bytes
) -> None:
    """The request line and all headers count together, on a new and on a reused connection."""
    client = await open_client()
    if begun:
        await client.send(GET)
        await client.read_until(OK)
        client.received = b""
    await client.send(of_size(MAX_HEAD_BYTES))
    await client.read_until(OK)
    assert client.received.startswith(b"HTTP/1.1 200 ")
    await client.send(of_size(MAX_HEAD_BYTES + 1))
    assert status(await client.read_to_end()) == 431
    assert server.hub.refused == {"head_size": 1}


async def test_head_without_end_is_431_once_it_is_too_long(server: Server, open_client: Open) -> None:
    """It is refused before its end arrives, and the server reads no more than a bit of the rest."""
    client = await open_client()
    header = b"X-A: " + b"x" * 16_000 + b"\r\n"
    await client.send(GET.removesuffix(b"\r\n") + header * 4)
    await client.send(header)
    assert status(await client.read_to_end()) == 431
    client.end()
    await eventually(lambda: not connections(server))


async def test_client_that_still_sends_its_long_head_gets_its_answer_without_a_reset(
    server: Server, open_client: Open
) -> None:
    """What it sends after the refusal is dropped until it closes. A close at once would send RST."""
    client = await open_client()
    await client.send(of_size(MAX_HEAD_BYTES + 2000))
    await client.read_until(b"ones\n")
    for _ in range(10):
        await client.send(b"x" * 50_000)
        await turns(5)
    assert status(await client.read_to_end()) == 431
    client.end()
    await eventually(lambda: not connections(server))


async def test_answer_to_a_head_that_is_too_long_can_be_read_over_tls(
    start: Start, clock: VirtualClock, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """Without a half-close, the connection is open until the client leaves, or for a second."""
    server = await start(ssl_context=server_context)
    port = urlsplit(server.web_url).port
    reader, writer = await asyncio.open_connection("localhost", port, ssl=client_context)
    writer.write(GET)
    assert (await reader.readuntil(OK)).startswith(b"HTTP/1.1 200 ")
    writer.write(of_size(MAX_HEAD_BYTES + 1))
    answer = await reader.readuntil(b"ones\n")
    clock.advance(LINGER_S)
    assert status(answer + await reader.read()) == 431
    writer.close()
    await writer.wait_closed()


async def test_memory_of_unfinished_heads_is_their_size(
    server: Server, open_client: Open, clock: VirtualClock
) -> None:
    """Sixty heads just below the limit take 60 times 64 KiB and a bit, and nothing once they end."""
    head = of_size(MAX_HEAD_BYTES - 100, line=500).removesuffix(b"\r\n")
    for _ in range(3):  # what is imported or cached at the first request
        client = await open_client()
        await client.send(GET)
        await client.read_until(OK)
    gc.collect()
    tracemalloc.start()
    try:
        clients = [await open_client() for _ in range(60)]
        for client in clients:
            await client.send(head)
        await arrived(server, 63)
        held = tracemalloc.get_traced_memory()[0]
        assert held < 60 * MAX_HEAD_BYTES * 1.7
        clock.advance(HEAD_TIMEOUT_S)
        for client in clients:
            assert status(await client.read_to_end()) == 408
            client.end()
            client.received = b""
        await eventually(lambda: len(connections(server)) == 3)
        await turns(20)
        assert tracemalloc.get_traced_memory()[0] < held / 10
    finally:
        tracemalloc.stop()


async def test_requests_before_a_head_that_is_too_long_are_answered(open_client: Open) -> None:
    """Two requests and a head of 70 KiB in one segment: 200, 200, 431."""
    client = await open_client()
    await client.send(GET + GET + of_size(70_000))
    answers = await client.read_to_end()
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert status(answers) == 431


@pytest.mark.parametrize("first", [b"", GET, GET + BEGUN], ids=["new", "reused", "same segment"])
async def test_head_that_is_not_complete_in_time_is_408(
    server: Server, open_client: Open, clock: VirtualClock, first: bytes
) -> None:
    """After 10 s, also where the head began in the segment of the request before it."""
    client = await open_client()
    if first:
        await client.send(first)
        await client.read_until(OK)
    if not first.endswith(BEGUN):
        await client.send(BEGUN)
    await arrived(server)
    for _ in range(9):
        clock.advance(HEAD_TIMEOUT_S / 10)
        await client.send(b"x")  # dripping does not help
        await turns(5)
    assert len(connections(server)) == 1
    clock.advance(HEAD_TIMEOUT_S / 10)
    await client.read_until(b"408 ")
    clock.advance(LINGER_S)
    assert status(await client.read_to_end()) == 408
    assert server.hub.refused == {"head_time": 1}


async def test_new_connection_that_sends_nothing_is_408(
    server: Server, open_client: Open, clock: VirtualClock
) -> None:
    """Silence takes a place as a slow head does."""
    client = await open_client()
    await arrived(server)
    clock.advance(HEAD_TIMEOUT_S - 0.1)
    await turns(5)
    assert len(connections(server)) == 1
    clock.advance(0.1)
    assert status(await client.read_to_end()) == 408
    client.end()
    await eventually(lambda: not connections(server))


@pytest.mark.parametrize("body", [b"5\r\nhello\r\n0\r\n\r\n", b"hello"], ids=["chunked", "length"])
async def test_idle_connection_is_not_timed_as_a_head(
    server: Server, open_client: Open, clock: VirtualClock, body: bytes
) -> None:
    """Between two requests the keep-alive time applies, after a body, too."""
    client = await open_client()
    framing = b"Content-Length: 5" if body == b"hello" else b"Transfer-Encoding: chunked"
    for _ in range(3):
        client.received = b""
        await client.send(GET)
        await client.read_until(OK)
        await client.send(
            b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n" + body
        )
        await client.read_until(b"client: give the id")
        await turns(5)
        clock.advance(KEEPALIVE_TIMEOUT_S - 1)
        await turns(5)
    assert len(connections(server)) == 1
    assert not server.hub.refused


async def test_heads_that_overlap_segments_are_no_late_head(
    server: Server, open_client: Open, clock: VirtualClock
) -> None:
    """Each segment ends one request and begins the next: each head has its own time."""
    client = await open_client()
    await client.send(BEGUN)
    for number in range(1, 6):
        await turns(5)
        clock.advance(HEAD_TIMEOUT_S * 0.9)
        await client.send(b"x\r\n\r\n" + BEGUN)
        await eventually_received(client, OK, number)
    assert not server.hub.refused


async def eventually_received(client: RawClient, marker: bytes, count: int) -> None:
    while client.received.count(marker) < count:
        assert await client.read_more()


@pytest.mark.parametrize("path", [b"/api/messages", b"/api/publish"])
async def test_slow_body_is_408(
    server: Server, open_client: Open, clock: VirtualClock, path: bytes
) -> None:
    """After 30 s from the end of its head, however it drips."""
    async with sse_client(server) as client_id:
        client = await open_client()
        await client.send(
            b"POST " + path + b"?client=" + client_id + b" HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 100\r\n\r\n"
        )
        await eventually(lambda: len(connections(server)) == 1)
        for _ in range(9):
            await client.send(b"x")
            await turns(5)
            clock.advance(BODY_TIMEOUT_S / 10)
        await turns(5)
        assert client.received == b""
        clock.advance(BODY_TIMEOUT_S / 10)
        await client.read_until(b"408 ")
        clock.advance(LINGER_S)
        assert status(await client.read_to_end()) == 408
    assert server.hub.refused == {"body_time": 1}


class sse_client:  # noqa: N801 - used as a function
    """Open an event stream; its value is the client's id."""

    def __init__(self, server: Server) -> None:
        self._client = RawClient(server, "sse")

    async def __aenter__(self) -> bytes:
        await self._client.connect()
        await self._client.send(b"GET /api/sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await self._client.read_until(b'"client"')
        await self._client.read_until(b"}\n")
        data = self._client.received.partition(b"data: ")[2].partition(b"\n")[0]
        return bytes(json.loads(data)["client"], "ascii")

    async def __aexit__(self, *_: object) -> None:
        self._client.leave(by_reset=True)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"POST /api/publish HTTP/1.1\r\nHost: evil.example\r\n", 421),
        (b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"POST /api/messages?client=0 HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"POST /api/publish HTTP/1.1\r\nHost: localhost\r\n", 413),
    ],
    ids=["421", "404", "messages", "413"],
)
@pytest.mark.parametrize("framing", [b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"])
async def test_junk_after_a_refused_post_is_cut_within_1_mb(
    server: Server, open_client: Open, request_: bytes, code: int, framing: bytes
) -> None:
    """The rest of the body is read for a while, so that the client gets its answer, but not for ever."""
    client = await open_client()
    await client.send(request_ + framing + b"\r\n\r\n")
    junk = b"x" * 65536 if b"Length" in framing else b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    reading = asyncio.ensure_future(client.read_to_end())
    with pytest.raises(OSError, match=r"reset|pipe"):
        while True:
            await client.send(junk)
            sent += len(junk)
            await turns(2)
    try:
        answer = await reading
    except OSError:
        answer = client.received
    assert answer.startswith(b"HTTP/1.1 %d " % code)
    # What the kernel holds on both sides comes on top of what the server reads.
    assert sent < MAX_BODY_BYTES + 8 * 1024 * 1024
    assert server.hub.refused == {"body_size": 1}
    await eventually(lambda: not connections(server))


@pytest.mark.parametrize("path", [b"/nowhere", b"/api/publish"])
async def test_nothing_follows_an_answer_before_the_end_of_its_body(
    server: Server, open_client: Open, path: bytes
) -> None:
    """HAProxy never sends the rest, and the next client's request would be read as bytes of the body."""
    client = await open_client()
    head = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n"
    # The whole body has arrived: the connection stays.
    await client.send(head + b"X-Forwarded-For: 1\r\nContent-Length: 2\r\n\r\n{}" + GET)
    await client.read_until(OK)
    assert b"Connection: close" not in client.received
    await client.send(head + b"X-Forwarded-For: 1\r\nContent-Length: %d\r\n\r\n" % len(GET))
    await client.read_until(b"Connection: close\r\n")
    await client.send(GET + GET)
    assert (await client.read_to_end()).count(OK) == 1


async def test_broken_body_is_400_at_once(server: Server, open_client: Open) -> None:
    """A chunk without a size ends the request; nobody waits for the rest."""
    client = await open_client()
    await client.send(
        b"POST /api/publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n"
    )
    answer = await client.read_to_end()
    assert status(answer) == 400
    assert b"body cannot be read" in answer


async def test_pipeliner_that_never_reads_is_cut(start: Start, clock: VirtualClock) -> None:
    """After 40 s without progress. While it takes a bit now and then, it stays."""
    server = await start()
    client = RawClient(server, "sse")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await client.connect()
    flood = asyncio.ensure_future(client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100_000))
    await eventually(lambda: len(writes(server)) == 1)
    await asyncio.sleep(KERNEL_S)
    for _ in range(4):
        clock.advance(WRITE_TIMEOUT_S - 3 * WRITE_CHECK_S)
        await read(client, 200_000)  # more than three segments of the loopback device
        await turns(100)
        clock.advance(WRITE_CHECK_S)
        assert len(connections(server)) == 1
    clock.advance(WRITE_TIMEOUT_S + WRITE_CHECK_S)
    await eventually(lambda: not connections(server))
    assert server.hub.refused == {"write_time": 1}
    flood.cancel()
    await asyncio.wait({flood})
    client.leave(by_reset=True)


async def test_slow_reader_behind_a_large_kernel_buffer_stays(
    start: Start, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel asks for more only once a third of its buffer is free; what the client takes counts."""
    original = listen.bind

    def bind(prefix: str, host: str, port: int) -> list[socket.socket]:
        sockets = original(prefix, host, port)
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        return sockets

    monkeypatch.setattr(server_module, "bind", bind)
    server = await start()
    client = RawClient(server, "sse")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    # Segments as on a network: those of the loopback device are 64 KiB.
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
    await client.connect()
    flood = asyncio.ensure_future(client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100_000))
    await eventually(lambda: len(writes(server)) == 1)
    await asyncio.sleep(KERNEL_S)
    for _ in range(3):
        clock.advance(WRITE_TIMEOUT_S - 3 * WRITE_CHECK_S)
        await read(client, 20_000)
        await turns(100)
        clock.advance(WRITE_CHECK_S)
        assert len(connections(server)) == 1
    clock.advance(WRITE_TIMEOUT_S + WRITE_CHECK_S)
    await eventually(lambda: not connections(server))
    flood.cancel()
    await asyncio.wait({flood})
    client.leave(by_reset=True)


def writes(server: Server) -> Deadlines[HttpConnection]:
    """Return the connections that do not read their answers."""
    assert server._runner is not None
    assert isinstance(server._runner.server, HttpServer)
    return server._runner.server.writes


async def read(client: RawClient, count: int) -> None:
    while count > 0:
        data = await asyncio.get_running_loop().sock_recv(client.socket, min(count, 65536))
        assert data
        count -= len(data)


@pytest.mark.usefixtures("small_send_buffer")
async def test_client_that_never_reads_the_rest_of_its_last_answer_is_cut(
    start: Start, clock: VirtualClock
) -> None:
    """The connection is closing, and less waits than the transport reports by itself."""
    server = await start()
    client = RawClient(server, "sse")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await client.connect()
    page = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    await client.send((page + b"\r\n") * 5 + page + b"Connection: close\r\n\r\n")
    await eventually(lambda: len(writes(server)) == 1)
    await asyncio.sleep(KERNEL_S)
    clock.advance(WRITE_TIMEOUT_S)
    assert len(connections(server)) == 1
    clock.advance(2 * WRITE_CHECK_S)
    await eventually(lambda: not connections(server))
    assert server.hub.refused == {"write_time": 1}
    client.leave(by_reset=True)


async def test_client_that_never_reads_a_file_is_cut(start: Start, clock: VirtualClock) -> None:
    """Its requests pile up, and each answer waits for the one before it."""
    server = await start()
    client = RawClient(server, "sse")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await client.connect()
    request = b"GET /static/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    flood = asyncio.ensure_future(client.send(request * 20_000))
    await eventually(lambda: len(writes(server)) == 1)
    await asyncio.sleep(KERNEL_S)
    clock.advance(WRITE_TIMEOUT_S)
    clock.advance(2 * WRITE_CHECK_S)
    await eventually(lambda: not connections(server))
    flood.cancel()
    await asyncio.wait({flood})
    client.leave(by_reset=True)


async def test_stream_keeps_nothing_of_its_head(server: Server) -> None:
    """The head is freed once the connection has left aiohttp."""
    collect_garbage()
    client = await RawClient(server, "sse").connect()
    await client.send(
        b"GET /api/sse HTTP/1.1\r\nHost: localhost\r\nX-Mark: " + b"m" * 20_000 + b"\r\n\r\n"
    )
    await client.read_until(b'"client"')
    await eventually(lambda: not connections(server))
    gc.collect()
    kept = [found for found in gc.get_objects() if isinstance(found, RequestHandler)]
    assert not kept
    client.leave(by_reset=True)


async def test_address_with_too_many_connections_loses_the_oldest_idle_one(
    start: Start, transport: str
) -> None:
    """10,000 unfinished heads took 0.7 GiB. A connection with a request stays; streams are apart."""
    # Loopback is exempt only where no proxy is declared, and this one has another address.
    server = await start(trusted_proxies=("203.0.113.1",), max_connections_per_address=3)
    stream = await RawClient(server, transport).connect()
    await stream.send(request(server, transport))
    await stream.read_until(b"established")
    busy = await RawClient(server, "sse").connect()
    await busy.send(b"POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n[")
    await arrived(server, 1)
    idle = await RawClient(server, "sse").connect()
    await idle.send(BEGUN)
    await arrived(server, 2)
    others = [await RawClient(server, "sse").connect() for _ in range(2)]
    for client in others:
        await client.send(GET)
        await client.read_until(OK)
    with suppress(ConnectionError):
        assert await idle.read_to_end() == b""
    assert server.hub.refused == {"http_connections": 1}
    assert len(server.hub) == 1
    assert len(connections(server)) == 3
    for client in (busy, idle, *others, stream):
        client.leave()
    await eventually(lambda: by_address(server) == 0)


def by_address(server: Server) -> int:
    """Return the number of addresses about which something is kept."""
    assert server._runner is not None
    assert isinstance(server._runner.server, HttpServer)
    return len(server._runner.server.by_address)


async def test_connections_of_a_trusted_proxy_are_not_limited(start: Start) -> None:
    """They are those of all clients."""
    server = await start(trusted_proxies=("1",), max_connections_per_address=1)
    clients = [await RawClient(server, "sse").connect() for _ in range(4)]
    for client in clients:
        await client.send(GET)
        await client.read_until(OK)
        client.leave()
    assert not server.hub.refused
