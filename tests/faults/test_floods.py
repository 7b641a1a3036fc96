"""Floods by one stranger: each test is named after one, and shows that nobody else notices it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import httpx
import pytest
import websockets

from rtdemo.engine.interface import Draft
from rtdemo.protocol.message import Message
from rtdemo.server.server import Server
from tests.clients import Ended, eventually
from tests.conftest import Connect, Start
from tests.raw_client import PING, TEXT, RawClient, frame, request, turns

LISTENERS = 100


async def listen(server: Server) -> list[RawClient]:
    """Connect listeners, half of them over each transport; they read when the test does."""
    clients = []
    for number in range(LISTENERS):
        transport = ("websocket", "sse")[number % 2]
        client = await RawClient(server, transport).connect()
        await client.send(request(server, transport, "producers=chat"))
        await client.read_until(b"established")
        clients.append(client)
    return clients


async def end_of_flood(flooder: RawClient, sending: asyncio.Future[None]) -> bytes:
    """Return all that a flooder reads; the server resets what it does not read."""
    with suppress(ConnectionResetError):
        await flooder.read_to_end()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    return flooder.received


async def test_flood_of_large_texts_to_everyone(server: Server, connect: Connect) -> None:
    """Nobody is cut, nothing leaves the log, and a message of another client arrives everywhere."""
    listeners = await listen(server)
    await server.hub.publish([Draft(Message("kept"), "news")])
    kept = server.hub.engine.log.bytes
    flooder = await RawClient(server, "websocket").connect()
    await flooder.send(request(server, "websocket", "producers=chat"))
    await flooder.read_until(b"established")
    text = frame(TEXT, b"/all " + b"x" * 60_000)
    sending = asyncio.ensure_future(flooder.send(text * 200))
    data = await end_of_flood(flooder, sending)
    assert data.count(b"Not sent to everyone: the text is over 4096 bytes as JSON") == 100
    assert server.hub.refused == {"broadcast_bytes": 100, "texts_per_connection": 1}
    assert server.hub.engine.log.bytes == kept
    flooder.leave(by_reset=True)
    other = await connect(server, "websocket", "producers=chat")
    await other.say("/all hello")
    for client in listeners:
        await client.read_until(b'"hello"')
        client.leave()
    assert all(traffic.too_slow == 0 for traffic in server.hub.traffic.values())


async def test_flood_of_small_texts_to_everyone(server: Server) -> None:
    """Five of them go to everyone; the sender gets a reason for the others, and then 1008."""
    listeners = await listen(server)
    async with websockets.connect(server.websocket_url) as flooder:
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            for number in range(1000):
                await flooder.send(f"/all {number}")
                await flooder.recv()
            while True:
                await flooder.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert len(server.hub.engine.log) == 5
    assert server.hub.refused == {"broadcasts_per_connection": 95, "texts_per_connection": 1}
    for client in listeners:
        await client.read_until(b'"message":"4"')
        client.leave()


async def test_strangers_of_one_address_flood_everyone(start: Start) -> None:
    """The limit of the address holds for all its connections together."""
    server = await start(trusted_proxies=("1",), publications_per_address=1)
    for _ in range(4):
        client = await RawClient(server, "websocket").connect()
        head, _, _ = request(server, "websocket", "producers=chat").rpartition(b"\r\n")
        await client.send(head + b"X-Forwarded-For: 198.51.100.7\r\n\r\n")
        await client.send(frame(TEXT, b"/all x") * 5)
        await client.read_until(b"established")
        client.leave()
    await eventually(lambda: len(server.hub) == 0)
    assert len(server.hub.engine.log) == 10
    assert server.hub.refused == {"publications_per_address": 10}


async def test_selection_of_thousands_of_names(server: Server, transport: str) -> None:
    """A query with 6,000 names is refused with one short line, also by a client that resumes."""
    names = ",".join(map(str, range(6_000)))
    async with httpx.AsyncClient() as http:
        for query in (f"producers={names}", f"last_event_id=x&producers={names}"):
            client = await RawClient(server, transport).connect()
            await client.send(request(server, transport, query))
            await client.read_until(b"at most 100\n")
            assert client.received.startswith(b"HTTP/1.1 400 ")
            assert len(client.received) < 1000
            client.leave()
        assert (await http.get(f"{server.web_url}/healthz")).status_code == 200


async def test_unknown_names_with_10_000_published(server: Server, connect: Connect) -> None:
    """The answer is short and lists some names, and no list of all names is made."""
    for first in range(0, 10_000, 100):
        drafts = [Draft(Message("x"), f"name {number:05}") for number in range(first, first + 100)]
        await server.hub.publish(drafts)
    peer = await connect(server, "websocket", "producers=echo")
    await peer.say(json.dumps({"rtdemo": {"producers": ["nix"] * 100}}))
    answer = await peer.receive()
    assert "there is no 'nix'" in answer["message"]
    assert "and 9955 more" in answer["message"]
    assert len(answer["message"]) < 1000


async def test_flood_of_pings(server: Server, connect: Connect) -> None:
    """The first are answered, then the connection ends; another client is answered meanwhile."""
    other = await connect(server, "websocket", "producers=echo")
    flooder = await RawClient(server, "websocket").connect()
    await flooder.send(request(server, "websocket", "producers=echo"))
    await flooder.read_until(b"established")
    sending = asyncio.ensure_future(flooder.send(frame(PING, b"") * 100_000))
    await other.say("still there?")
    assert (await other.receive())["message"] == "Echo: still there?"
    data = await end_of_flood(flooder, sending)
    assert data.count(b"\x8a\x00") == 1250
    assert data.endswith(b"\x03\xf0rate limit")
    flooder.leave(by_reset=True)


async def test_sse_client_that_sends_without_end(server: Server, connect: Connect) -> None:
    """It is read no more, and its stream ends; others go on."""
    other = await connect(server, "sse", "producers=echo")
    flooder = await RawClient(server, "sse").connect()
    await flooder.send(request(server, "sse"))
    await flooder.read_until(b"established")
    with pytest.raises(ConnectionError):
        while True:
            await flooder.send(bytes(64 * 1024))
            await turns(1)
    assert server.hub.refused == {"unexpected_bytes": 1}
    await other.say("still there?")
    assert (await other.receive())["message"] == "Echo: still there?"
    flooder.leave()


async def test_client_that_was_refused_comes_back(start: Start, connect: Connect) -> None:
    """It may reconnect at once (the test's clock does not move), and then has its full rate."""
    server = await start(texts_per_connection=1)
    peer = await connect(server, "websocket", "producers=echo")
    for _ in range(6):
        await peer.say("x")
    with pytest.raises(Ended):
        while True:
            await peer.receive()
    again = await connect(server, "websocket", "producers=echo")
    for _ in range(5):
        await again.say("x")
        assert (await again.receive())["message"] == "Echo: x"
