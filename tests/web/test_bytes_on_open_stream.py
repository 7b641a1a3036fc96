"""Bytes that a client sends on its open event stream: few are dropped, and more end it."""

from __future__ import annotations

import asyncio
import logging
import tracemalloc

import pytest

from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.web.sse import MAX_UNEXPECTED_BYTES
from tests.clients import eventually
from tests.raw_client import RawClient, request, turns

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

MORE = {
    "a request": b"GET /api/time HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a second stream": b"GET /api/sse HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a long body": b"POST /api/messages HTTP/1.1\r\n"
    b"Host: localhost\r\nContent-Length: 999999999\r\n\r\n",
    "empty lines": b"\r\n\r\n",
}
FLOOD_BYTES = 32 * 1024 * 1024
"""More than the kernel keeps: who can send so much is being read."""
MEMORY_BYTES = 1024 * 1024
"""Memory that a flood may cost: a few reads of the socket, and the requests found in them."""


@pytest.fixture(params=MORE)
def more(request: pytest.FixtureRequest) -> bytes:
    """What the client sends after its request."""
    return MORE[request.param]


async def next_message(client: RawClient, clock: VirtualClock) -> None:
    """Let the server send the next message, and read it."""
    client.received = b""
    clock.advance(2)
    await client.read_until(b"SSE Message ")


async def test_few_bytes_on_an_open_stream(server: Server, clock: VirtualClock) -> None:
    """As many as the bound are dropped, and the stream goes on; one more ends it."""
    client = await RawClient(server, "sse").connect()
    await client.send(request(server, "sse"))
    await client.read_until(b"established")
    await client.send(bytes(MAX_UNEXPECTED_BYTES))
    await turns(20)
    await next_message(client, clock)
    assert not server.hub.refused
    await client.send(b"x")
    await eventually(lambda: server.hub.count("sse") == 0)
    assert server.hub.refused == {"unexpected_bytes": 1}
    client.leave()


async def leaves_nothing(server: Server, client: RawClient, clock: VirtualClock, tasks: int) -> None:
    """Wait until a client that leaves is gone; at the latest the next messages find that out."""
    client.leave(by_reset=True)
    while len(server.hub):
        clock.advance(1)
        await turns(1)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    assert server.hub.schedule.ticks == 0


async def test_second_request_in_the_segment_of_the_first(
    server: Server, clock: VirtualClock, more: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not answered, since the stream does not end, and the stream goes on."""
    tasks = len(asyncio.all_tasks())
    client = await RawClient(server, "sse").connect()
    await client.send(request(server, "sse") + more)
    await client.read_until(b"established")
    for _ in range(3):
        await next_message(client, clock)
        assert b"HTTP/1.1" not in client.received
    assert server.hub.count("sse") == 1
    await leaves_nothing(server, client, clock, tasks)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_flood_on_an_open_stream_ends_it(
    server: Server, clock: VirtualClock, more: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The server drops the first bytes, and ends the stream of a client that sends more."""
    tasks = len(asyncio.all_tasks())
    client = await RawClient(server, "sse").connect()
    await client.send(request(server, "sse"))
    await client.read_until(b"established")
    await next_message(client, clock)
    # One head, then data without end: a body of its request, or the next requests.
    block = more * (64 * 1024 // len(more)) if b"Content-Length" not in more else bytes(64 * 1024)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await client.send(more)
        await send_until_ended(client, block)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MEMORY_BYTES
    assert server.hub.count("sse") == 0
    assert server.hub.refused == {"unexpected_bytes": 1}
    await leaves_nothing(server, client, clock, tasks)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def send_until_ended(client: RawClient, block: bytes) -> int:
    """Send a block again and again until the server ends the connection; return how much it took.

    Raises:
        AssertionError: the server goes on reading.
    """
    sent = 0
    while sent < FLOOD_BYTES:
        try:
            sent += client.socket.send(block)
        except BlockingIOError:
            await turns(1)
        except ConnectionError:
            return sent
        await turns(1)
    raise AssertionError(f"the server has read {sent} bytes")
