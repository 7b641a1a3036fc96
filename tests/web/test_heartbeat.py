"""Heartbeats that a browser's script sees: `?heartbeat=SECONDS`."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from rtdemo.protocol.close_reasons import Reason
from rtdemo.server import server as server_module
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import SLOT_S
from tests.clients import eventually
from tests.conftest import Start
from tests.raw_client import TEXT, RawClient, frames, request


@pytest.fixture
async def silent_server(start: Start, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server whose heartbeats follow the test's clock too."""
    monkeypatch.setattr(server_module, "LoopClock", lambda loop: clock)
    return await start(lab=True)


async def connected(server: Server, transport: str, query: str = "heartbeat=2") -> RawClient:
    """Return a client that has the welcome and the first heartbeat; it gets nothing but heartbeats."""
    client = await RawClient(server, transport).connect()
    await client.send(request(server, transport, f"producers=echo&{query}"))
    await client.read_until(b'heartbeat\\":2' if "heartbeat" in query else b"established")
    return client


async def heartbeats(client: RawClient, server: Server, transport: str) -> list[dict[str, Any]]:
    """Return the heartbeats after the first one, and before a message that is sent now.

    It is sent by hand, and not counted as one.
    """
    (connection,) = server.hub.connections
    connection.send("test", "marker")
    connection.sent -= 1
    before = client.received.count(b"marker")
    while client.received.count(b"marker") == before:
        await client.read_more()
    if transport == "websocket":
        texts = [frame.payload for frame in frames(client.received) if frame.opcode == TEXT]
        return [fields for fields in map(json.loads, texts) if "heartbeat" in fields["message"]][1:]
    begin = b"\r\nevent: heartbeat\ndata: "  # after the size of the chunk
    return [json.loads(part.partition(b"\n\n\r\n")[0]) for part in client.received.split(begin)[2:]]


async def test_silence_has_a_heartbeat(
    silent_server: Server, clock: VirtualClock, transport: str
) -> None:
    """It is a message of producer `rtdemo` without a number, over both transports the same."""
    client = await connected(silent_server, transport)
    (connection,) = silent_server.hub.connections
    sent = connection.sent
    clock.advance(SLOT_S)
    for count in range(4):
        clock.advance(1.9)
        assert len(await heartbeats(client, silent_server, transport)) == count
        clock.advance(0.1)
        found = await heartbeats(client, silent_server, transport)
        assert len(found) == count + 1
    sent_at = found[-1]["sentAt"]
    assert found[-1] == {"message": '{"heartbeat":2}', "sentAt": sent_at, "producer": "rtdemo"}
    assert connection.sent == sent
    client.leave()


@pytest.mark.parametrize("at", [0.1, 0.6, 0.7, 1.3, 1.9])
async def test_heartbeat_follows_within_its_seconds_of_a_message(
    silent_server: Server, clock: VirtualClock, transport: str, at: float
) -> None:
    client = await connected(silent_server, transport)
    clock.advance(at)
    (connection,) = silent_server.hub.connections
    connection.send("test", "x")
    clock.advance(1.3)
    assert await heartbeats(client, silent_server, transport) == []
    clock.advance(0.7 + SLOT_S)
    assert len(await heartbeats(client, silent_server, transport)) == 1
    client.leave()


async def test_messages_need_no_heartbeat(
    silent_server: Server, clock: VirtualClock, transport: str
) -> None:
    client = await connected(silent_server, transport)
    (connection,) = silent_server.hub.connections
    for _ in range(20):
        clock.advance(1.3)
        connection.send("test", "x")
    assert await heartbeats(client, silent_server, transport) == []
    client.leave()


async def test_first_heartbeat_follows_the_welcome_at_once(
    silent_server: Server, transport: str
) -> None:
    """It announces the others: a script knows that the server has the parameter."""
    client = await connected(silent_server, transport)
    welcome, _, rest = client.received.partition(b"established")
    assert b"heartbeat" not in welcome
    assert rest.count(b'"message":"{\\"heartbeat\\":2}"') == 1
    client.leave()


async def test_client_that_does_not_ask_gets_none(
    silent_server: Server, clock: VirtualClock, transport: str
) -> None:
    client = await connected(silent_server, transport, "speed=1")
    clock.advance(20)
    await heartbeats(client, silent_server, transport)
    assert b"heartbeat" not in client.received
    client.leave()


async def test_stop_holds_heartbeats_back_too(
    silent_server: Server, clock: VirtualClock, transport: str
) -> None:
    """A fault that let them pass would not look like one. They do not add up while it lasts."""
    client = await connected(silent_server, transport)
    (connection,) = silent_server.hub.connections
    connection.throttle().stop(5.0)
    clock.advance(4.9)
    assert connection.outbox_bytes > 0
    clock.advance(0.2)
    assert len(await heartbeats(client, silent_server, transport)) == 1
    client.leave()


async def test_nothing_follows_the_end_of_a_connection(
    silent_server: Server, clock: VirtualClock, transport: str
) -> None:
    client = await connected(silent_server, transport)
    (connection,) = silent_server.hub.connections
    connection.end(Reason.GOING_AWAY)
    clock.advance(60)
    if transport == "websocket":
        client.end()
    assert (await client.read_to_end()).count(b"heartbeat\\") == 1  # the first one
    client.leave()


@pytest.mark.parametrize("given", ["0", "61", "-1", "1.5", "x", "", "9" * 5000])
async def test_bad_heartbeat_is_refused_with_one_line(
    server: Server, transport: str, given: str
) -> None:
    base = server.web_url if transport == "sse" else server.websocket_url.replace("ws:", "http:")
    path = "/api/sse" if transport == "sse" else "/"
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    headers = upgrade if transport == "websocket" else {}
    async with httpx.AsyncClient(base_url=base) as http:
        answer = await http.get(path, params={"heartbeat": given}, headers=headers)
    assert answer.status_code == 400
    quoted = repr(given[:100])
    assert answer.text == f"heartbeat: {quoted} is not a whole number of seconds from 1 to 60\n"
    assert len(server.hub) == 0


async def test_heartbeats_end_with_their_connection(
    silent_server: Server, clock: VirtualClock, transport: str
) -> None:
    idle = clock.next_due
    client = await connected(silent_server, transport)
    clock.advance(3)
    assert clock.next_due != idle
    client.leave()
    await eventually(lambda: len(silent_server.hub) == 0)
    clock.advance(30)
    assert clock.next_due == idle
