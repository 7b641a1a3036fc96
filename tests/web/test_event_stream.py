"""What an event stream has besides its events: `retry:` at its head, and comments in silence."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from rtdemo.protocol.wire import SSE_COMMENT
from rtdemo.server import server as server_module
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.web import sse
from tests.conftest import Start
from tests.raw_client import RawClient, request


@pytest.fixture
async def silent_server(start: Start, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server whose heartbeats follow the test's clock too."""
    monkeypatch.setattr(server_module, "LoopClock", lambda loop: clock)
    return await start()


async def connected(server: Server) -> RawClient:
    """Return a client to which nothing is sent but the welcome."""
    client = await RawClient(server, "sse").connect()
    await client.send(request(server, "sse", "producers=echo"))
    await client.read_until(b"established")
    return client


async def comments(client: RawClient, server: Server) -> int:
    """Return the number of comments up to a message that is sent now, by hand and not counted as one."""
    (connection,) = server.hub.connections
    connection.send("test", "marker")
    connection.sent -= 1
    before = client.received.count(b"marker")
    while client.received.count(b"marker") == before:
        await client.read_more()
    return client.received.count(SSE_COMMENT)


async def test_first_event_of_each_stream_has_its_own_retry(server: Server) -> None:
    """A server that dies cannot send it: its clients must not reconnect all at once either."""
    clients = [await connected(server) for _ in range(20)]
    found = [
        re.search(rb"\r\n\r\n[0-9a-f]+\r\ndata: [^\n]*\nid: [^\n]*\nretry: (\d+)\n\n\r\n", each.received)
        for each in clients
    ]
    pauses = [int(each[1]) for each in found if each is not None]
    assert len(pauses) == 20
    assert len(set(pauses)) > 10
    assert all(1000 <= pause <= 5000 for pause in pauses)
    for client in clients:
        client.leave()


async def test_silence_has_a_comment_every_15_s(silent_server: Server, clock: VirtualClock) -> None:
    client = await connected(silent_server)
    clock.advance(0.01)  # the first beat waits for a slot
    for count in range(4):
        clock.advance(14.9)
        assert await comments(client, silent_server) == count
        clock.advance(0.1)
        assert await comments(client, silent_server) == count + 1
    client.leave()


async def test_no_comment_while_messages_come(silent_server: Server, clock: VirtualClock) -> None:
    client = await connected(silent_server)
    (connection,) = silent_server.hub.connections
    for _ in range(60):
        clock.advance(9.9)
        connection.send("test", "x")
    assert await comments(client, silent_server) == 0
    client.leave()


@pytest.mark.parametrize("at", [0.1, 2.5, 4.9, 5.1, 9.9, 14.9])
async def test_silence_after_a_message(silent_server: Server, clock: VirtualClock, at: float) -> None:
    """Wherever it falls between two beats, the comment follows after 10 s to 15 s."""
    client = await connected(silent_server)
    clock.advance(at)
    (connection,) = silent_server.hub.connections
    connection.send("test", "x")
    clock.advance(10.0)
    assert await comments(client, silent_server) == 0
    clock.advance(5.01)
    assert await comments(client, silent_server) == 1
    client.leave()


async def test_heartbeat_below_15_s_bounds_silence_too(
    start: Start, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LoopClock", lambda loop: clock)
    server = await start(heartbeat=6.0)
    client = await connected(server)
    clock.advance(6.1)
    assert await comments(client, server) == 1
    client.leave()


async def test_heads_of_the_same_second_are_those_of_their_requests(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests of one kind share a head; version and `Origin` make other kinds."""
    monkeypatch.setattr(sse, "time", SimpleNamespace(time=lambda: 1_700_000_000.0))
    server = await start(single_site=True, allow_origin=("https://a.example", "https://b.example"))
    for _ in range(2):
        for version, more, has, lacks in (
            ("1.1", "", "chunked", "Allow-Origin"),
            ("1.0", "", "Connection: close", "chunked"),
            ("1.1", "Origin: https://a.example\r\n", "Allow-Origin: https://a.example", "b.example"),
            ("1.1", "Origin: https://b.example\r\n", "Allow-Origin: https://b.example", "a.example"),
            ("1.1", "Origin: https://c.example\r\n", "text/event-stream", "Allow-Origin"),
        ):
            client = await RawClient(server, "sse").connect()
            await client.send(f"GET /api/sse HTTP/{version}\r\nHost: localhost\r\n{more}\r\n".encode())
            await client.read_until(b"\r\n\r\n")
            head = client.received.partition(b"\r\n\r\n")[0].decode()
            assert (has in head, lacks in head) == (True, False), head
            client.leave()
