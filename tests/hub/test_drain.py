"""A server that stops ends its connections evenly over time, and refuses new ones meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
import websockets

from rtdemo.protocol.close_reasons import Reason
from rtdemo.server import server as server_module
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import eventually
from tests.conftest import Connect, Start
from tests.raw_client import RawClient, frames, request
from tests.redis_server import RedisServer


async def drained(start: Start, connect: Connect, transport: str, count: int) -> Server:
    """Return a server that has begun to drain that many connections over 10 s."""
    server = await start(drain_seconds=10.0)
    for _ in range(count):
        await connect(server, transport)
    return server


async def test_ends_are_spread_evenly(
    start: Start, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """Of 20 connections over 10 s, two end each second, in the order in which they joined."""
    server = await drained(start, connect, transport, 20)
    connections = server.hub.connections
    stopping = asyncio.ensure_future(server.stop())
    await eventually(lambda: server.hub.draining)
    for second in range(10):
        reasons = [connection.reason for connection in connections]
        ended = second * 2 + 1
        assert reasons == [Reason.GOING_AWAY] * ended + [None] * (20 - ended)
        clock.advance(1.0)
    await stopping


async def test_single_connection_does_not_wait(start: Start, connect: Connect, transport: str) -> None:
    """Nothing is to be spread: the server stops although its time does not pass."""
    server = await drained(start, connect, transport, 1)
    await server.stop()


async def test_server_without_connections_stops_at_once(start: Start) -> None:
    server = await start(drain_seconds=10.0)
    await server.stop()


async def test_clients_that_leave_by_themselves_end_the_drain(start: Start) -> None:
    """The server does not wait for a time at which nobody is left to be ended."""
    server = await start(drain_seconds=10.0)
    clients = [await RawClient(server, "sse").connect() for _ in range(4)]
    for client in clients:
        await client.send(request(server, "sse"))
        await client.read_until(b"established")
    stopping = asyncio.ensure_future(server.stop())
    await eventually(lambda: server.hub.draining)
    for client in clients:
        client.leave()
    await stopping


async def test_draining_server_answers_503_on_new_connections(
    start: Start, connect: Connect, clock: VirtualClock
) -> None:
    """Its sites stay open: /readyz, streams and handshakes are refused, and what is open goes on."""
    server = await start(drain_seconds=10.0)
    peers = [await connect(server, "websocket") for _ in range(3)]
    stopping = asyncio.ensure_future(server.stop())
    await eventually(lambda: server.hub.draining)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        ready, stream = await http.get("/readyz"), await http.get("/api/sse")
        assert (ready.status_code, ready.text) == (503, "draining\n")
        assert (stream.status_code, stream.headers["Retry-After"]) == (503, "2")
        # A balancer would send the next request to this server too.
        assert ready.headers["Connection"] == stream.headers["Connection"] == "close"
        assert (await http.get("/healthz")).status_code == 200
    for url in (server.websocket_url, f"{server.web_url.replace('http', 'ws')}/ws"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "2"
    await peers[2].say("still there?")
    while "still there?" not in (await peers[2].receive())["message"]:
        pass
    clock.advance(10.0)
    await stopping


@pytest.mark.parametrize("has_redis", [False, True])
async def test_draining_server_takes_no_message_that_would_end_with_it(
    start: Start, connect: Connect, clock: VirtualClock, redis_server: RedisServer, has_redis: bool
) -> None:
    """A log in memory ends with the server: publishers keep their messages for the next one."""
    engine = {"engine": redis_server.url} if has_redis else {}
    server = await start(drain_seconds=10.0, **engine)
    for _ in range(3):
        await connect(server, "websocket")
    stopping = asyncio.ensure_future(server.stop())
    await eventually(lambda: server.hub.draining)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post("/api/publish", json={"message": "late"})
    if has_redis:
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    clock.advance(10.0)
    await stopping


async def event_streams(server: Server, count: int) -> list[RawClient]:
    """Return clients whose event streams are open."""
    clients = [await RawClient(server, "sse").connect() for _ in range(count)]
    for client in clients:
        await client.send(request(server, "sse"))
        await client.read_until(b"established")
    return clients


async def last_retry(client: RawClient) -> int:
    """Return the last `retry:` of a stream, in milliseconds, once it has ended."""
    _, _, after = (await client.read_to_end()).rpartition(b"retry: ")
    client.leave()
    return int(after.partition(b"\n")[0])


async def test_event_streams_pause_until_the_drain_is_over(start: Start, clock: VirtualClock) -> None:
    """Earlier they would be answered 503, after which an EventSource never tries again."""
    server = await start(drain_seconds=10.0)
    clients = await event_streams(server, 4)
    stopping = asyncio.ensure_future(server.stop())
    for client, left_ms in zip(clients, (10_000, 7_500, 5_000, 0), strict=True):
        assert left_ms + 1000 <= await last_retry(client) <= left_ms + 5000
        clock.advance(2.5)
    await stopping


async def test_event_streams_of_a_replaced_worker_pause_briefly(
    start: Start, clock: VirtualClock
) -> None:
    """Its successor accepts them at once."""
    server = await start(drain_seconds=10.0)
    clients = await event_streams(server, 2)
    server._is_retired = True
    stopping = asyncio.ensure_future(server.stop())
    assert 1000 <= await last_retry(clients[0]) <= 5000
    clock.advance(10.0)
    assert 1000 <= await last_retry(clients[1]) <= 5000
    await stopping


async def test_shared_producers_run_until_the_drain_is_over(
    start: Start, connect: Connect, clock: VirtualClock
) -> None:
    """No other server can lead before: without them the whole deployment would have a gap."""
    server = await start(drain_seconds=20.0, without=())
    peers = [await connect(server, "sse", "producers=broadcast") for _ in range(2)]
    stopping = asyncio.ensure_future(server.stop())
    await eventually(lambda: server.hub.draining)
    clock.advance(9.0)
    assert (await peers[1].receive())["message"] == "Global broadcast #1"
    clock.advance(11.0)
    await stopping


SLOW_LOGIN = """
import asyncio
from pathlib import Path
from rtdemo import hookimpl

@hookimpl
async def authenticate(request):
    Path({asked!r}).touch()
    while not Path({answered!r}).exists():
        await asyncio.sleep(0.01)
    return "ann"
"""


async def test_connection_whose_login_takes_longer_than_the_drain_is_ended(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is replaced does not refuse it, and must not cut it either."""
    monkeypatch.setattr(server_module, "REQUEST_TIMEOUT_S", 60.0)
    asked, answered, plugin = tmp_path / "asked", tmp_path / "answered", tmp_path / "slow.py"
    plugin.write_text(SLOW_LOGIN.format(asked=str(asked), answered=str(answered)))
    server = await start(files=(plugin,))
    client = await RawClient(server, "websocket").connect()
    await client.send(request(server, "websocket"))
    await eventually(asked.exists)
    server._is_retired = True
    stopping = asyncio.ensure_future(server.stop())
    await eventually(lambda: server.hub.draining)
    answered.touch()
    await client.read_until(b"established")
    assert str(frames(await client.read_to_end())[-1]) == "close 1001"
    client.leave()
    await stopping


async def test_connection_that_joins_during_the_drain_is_ended(
    start: Start, connect: Connect, clock: VirtualClock
) -> None:
    """Its handshake was admitted just before the signal."""
    server = await start(drain_seconds=10.0)
    for _ in range(2):
        await connect(server, "sse")
    stopping = asyncio.ensure_future(server.stop())
    await eventually(lambda: server.hub.draining)
    server.hub.refusing = False
    await connect(server, "sse")
    server.hub.refusing = True
    *_, late = server.hub.connections
    clock.advance(9.0)
    before = late.reason
    clock.advance(1.0)
    assert (before, late.reason) == (None, Reason.GOING_AWAY)
    await stopping
