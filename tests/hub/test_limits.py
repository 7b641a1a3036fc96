"""Limits per connection: just under passes, just over is refused, and passes again after a wait."""

from __future__ import annotations

import json
import logging
from collections import Counter

import pytest

from rtdemo.engine.interface import Draft
from rtdemo.errors import OverLimit
from rtdemo.hub.limits import Limits
from rtdemo.protocol.message import Message
from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings
from rtdemo.testing import VirtualClock
from tests.clients import Ended, Fields, Peer
from tests.conftest import Connect, Start
from tests.raw_client import PING, PONG, RawClient, frame, frames, request, turns


async def opened(server: Server) -> RawClient:
    """Return an open WebSocket on a bare socket."""
    client = await RawClient(server, "websocket").connect()
    await client.send(request(server, "websocket"))
    await client.read_until(b"established")
    return client


async def next_of(peer: Peer, producer: str) -> Fields:
    """Return a client's next message of a producer."""
    while (message := await peer.receive())["producer"] != producer:
        pass
    return message


async def test_texts_over_a_websocket(start: Start, connect: Connect, clock: VirtualClock) -> None:
    """A burst is answered; one more gets a message that says why, then 1008. Others go on."""
    server = await start(texts_per_connection=2.0)
    flooder, other = [await connect(server, "websocket", "producers=echo") for _ in range(2)]
    for _ in range(10):
        await flooder.say("x")
        assert (await flooder.receive())["message"] == "Echo: x"
    clock.advance(0.5)
    await flooder.say("one more after half a second")
    assert (await flooder.receive())["producer"] == "echo"
    await flooder.say("too much")
    refusal = await flooder.receive()
    assert (refusal["producer"], json.loads(refusal["message"])) == (
        "rtdemo",
        {"error": "over 2 texts a second (limit --texts-per-connection); try again in 1 s"},
    )
    with pytest.raises(Ended) as ended:
        await flooder.receive()
    assert ended.value.code == 1008
    assert server.hub.refused == {"texts_per_connection": 1}
    await other.say("still there?")
    assert (await other.receive())["message"] == "Echo: still there?"


async def test_connection_without_texts_costs_nothing(server: Server, connect: Connect) -> None:
    """The state of the limits is made on the first text."""
    peer = await connect(server, "websocket", "producers=echo")
    (connection,) = server.hub.connections
    states = [connection.rates]
    await peer.say("x")
    await peer.receive()
    states.append(connection.rates)
    assert [state is not None for state in states] == [False, True]


@pytest.mark.parametrize("kind", [PING, PONG, 0x1])
async def test_frames_without_a_text(start: Start, kind: int) -> None:
    """As many as fit between two heartbeats are read; one more ends the connection with 1008."""
    server = await start(control_frames_per_connection=2, heartbeat=50)
    client = await opened(server)
    one = frame(kind, b"", final=kind != 0x1)
    if kind == 0x1:
        await client.send(one + frame(0x0, b"", final=False) * 99)
    else:
        await client.send(one * 100)
    await client.send(frame(PING, b"over") if kind == 0x1 else one)
    data = await client.read_to_end()
    reason = json.loads(frames(data)[-2].payload)
    assert json.loads(reason["message"])["error"] == (
        "over 2 control frames a second (limit --control-frames-per-connection); try again in 50 s"
    )
    assert str(frames(data)[-1]) == "close 1008"
    assert server.hub.refused == {"control_frames_per_connection": 1}
    client.leave()


async def test_frames_are_counted_anew_after_each_heartbeat(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that pings all day stays connected."""
    server = await start(control_frames_per_connection=1, heartbeat=100)
    client = await opened(server)
    (connection,) = server.hub.connections
    for number in range(3):
        await client.send(frame(PING, str(number).encode()) * 100)
        await client.read_until(b"\x8a\x01%d" % number * 100)
        connection._hang_up.__self__.beat()  # type: ignore[attr-defined]  # the server's protocol
    assert not server.hub.refused
    client.leave()


async def test_size_of_a_text_to_everyone(start: Start, connect: Connect, transport: str) -> None:
    """Bytes of the log count, not characters. The sender learns why, and stays connected."""
    server = await start(broadcast_bytes=10)
    peer = await connect(server, transport, "producers=chat")
    await peer.say("/all " + "é" * 5)
    assert (await next_of(peer, "chat"))["message"] == "é" * 5
    for text in ("é" * 5 + "x", "\x01\x01"):
        await peer.say(f"/all {text}")
        assert (await next_of(peer, "chat"))["message"] == (
            "Not sent to everyone: the text is over 10 bytes as JSON (limit --broadcast-bytes); "
            "send less"
        )
    assert server.hub.refused == {"broadcast_bytes": 2}
    assert len(server.hub.engine.log) == 1


async def test_rate_of_texts_to_everyone(
    start: Start, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """A burst goes to everyone, one more does not, until a second later. Another client may."""
    server = await start(broadcasts_per_connection=1.0)
    peer, other = [await connect(server, transport, "producers=chat") for _ in range(2)]
    for number in range(5):
        await peer.say(f"/all {number}")
        assert (await next_of(peer, "chat"))["message"] == str(number)
    await peer.say("/all too much")
    assert (await next_of(peer, "chat"))["message"] == (
        "Not sent to everyone: over 1 texts to everyone a second (limit --broadcasts-per-connection); "
        "try again in 1 s"
    )
    assert server.hub.refused == {"broadcasts_per_connection": 1}
    await other.say("/all from another")
    for each in (peer, other):
        while (await next_of(each, "chat"))["message"] != "from another":
            pass
    clock.advance(1)
    await peer.say("/all again")
    assert (await next_of(peer, "chat"))["message"] == "again"


def test_one_log_line_a_minute_for_each_limit(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A flood of refusals is one line, which names the address and what may be wrong."""
    refused: Counter[str] = Counter()
    limits = Limits(Settings(max_connections_per_address=1), clock.time, refused)
    limits.opened("198.51.100.7")
    for seconds in (0, 59, 1):
        clock.advance(seconds)
        for _ in range(10):
            with pytest.raises(OverLimit):
                limits.check_connect("198.51.100.7", 1)
    assert refused == {"max_connections_per_address": 30}
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert (
        lines
        == [
            "--max-connections-per-address: 198.51.100.7 is over the limit; "
            "if that is your proxy, set --trusted-proxies"
        ]
        * 2
    )


async def test_missed_messages_are_paced_per_address(start: Start, clock: VirtualClock) -> None:
    """A client that reads the log again waits for its share, loses nothing, and delays no other."""
    server = await start(replay_bytes_per_address=5000, trusted_proxies=("1",))
    texts = [f"{number:04}".ljust(200, "x") for number in range(100)]
    await server.hub.publish([Draft(Message(text), "news") for text in texts])
    position = f"{server.hub.engine.log.last.epoch}-0"
    first, second = [await reader(server, "198.51.100.7", position) for _ in range(2)]
    other = await reader(server, "203.0.113.9", position)
    for client in (first, other):
        await client.read_until(texts[-1].encode())
    assert server.hub.refused == {"replay_bytes_per_address": 1}
    assert server.hub.connections[1].replaying
    for _ in range(10):
        clock.advance(1)
        await turns(10)
    await second.read_until(texts[-1].encode())
    for client in (first, second, other):
        events = [line for line in client.received.split(b"\n") if b'"news"' in line]
        assert [json.loads(event[6:])["message"] for event in events] == texts
        client.leave()


async def reader(server: Server, address: str, position: str) -> RawClient:
    """Connect an event stream that resumes at a position, from an address."""
    client = await RawClient(server, "sse").connect()
    head, _, _ = request(server, "sse", f"last_event_id={position}").rpartition(b"\r\n")
    await client.send(head + f"X-Forwarded-For: {address}\r\n\r\n".encode())
    await client.read_until(b"established")
    return client
