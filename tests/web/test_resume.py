"""Shared messages, and resuming after missed ones, with the same position over both transports."""

from __future__ import annotations

import json

import httpx
import pytest

from rtdemo.hub.fanout import GONE_TEXT
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import Fields, Peer
from tests.conftest import Connect, Start

OTHER = {"websocket": "sse", "sse": "websocket"}


async def publish(server: Server, *texts: str, producer: str = "news") -> list[str]:
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        body = [{"message": text, "producer": producer} for text in texts]
        answer = await http.post("/api/publish", json=body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["positions"])


async def texts(peer: Peer, count: int) -> list[str]:
    return [(await peer.receive())["message"] for _ in range(count)]


async def test_broadcast_reaches_everyone_with_its_position(
    start: Start, connect: Connect, clock: VirtualClock
) -> None:
    """Every 5 s, the same message with the same id over both transports; the numbers have no gap."""
    server = await start(without=("message", "status"))
    peers = [await connect(server, transport) for transport in ("websocket", "sse")]
    clock.advance(10)
    got: list[list[Fields]] = [[await peer.receive(), await peer.receive()] for peer in peers]
    assert got[0] == got[1]
    assert [m["message"] for m in got[0]] == ["Global broadcast #1", "Global broadcast #2"]
    epoch = peers[0].welcome["id"].partition("-")[0]
    assert [m["id"] for m in got[0]] == [f"{epoch}-1", f"{epoch}-2"]
    assert [m["seq"] for m in got[0]] == [1, 2]


async def test_missed_messages_come_first_then_live_ones(
    server: Server, connect: Connect, transport: str
) -> None:
    """They follow the welcome, in order and none twice, whichever transport the position is from."""
    peer = await connect(server, OTHER[transport])
    await publish(server, "1")
    last = (await peer.receive())["id"]
    await peer.leave()
    await publish(server, "2", "3")
    resumed = await connect(server, transport, f"last_event_id={last}")
    assert resumed.welcome["id"] == last
    await publish(server, "4")
    assert await texts(resumed, 3) == ["2", "3", "4"]
    assert server.hub.traffic["websocket" if transport == "websocket" else "sse"].resumes == 1


async def test_welcome_has_the_position(server: Server, connect: Connect, transport: str) -> None:
    """A client that is cut before its first shared message still misses none."""
    peer = await connect(server, transport)
    await peer.leave()
    await publish(server, "1")
    resumed = await connect(server, transport, f"last_event_id={peer.welcome['id']}")
    assert await texts(resumed, 1) == ["1"]


async def test_resumed_client_gets_only_what_it_picked(
    server: Server, connect: Connect, transport: str
) -> None:
    """Other messages are skipped, in the history and live."""
    first = await connect(server, transport)
    await publish(server, "1", producer="news")
    await publish(server, "2", producer="sport")
    query = f"producers=sport&last_event_id={first.welcome['id']}"
    resumed = await connect(server, transport, query)
    await publish(server, "3", producer="news")
    await publish(server, "4", producer="sport")
    assert await texts(resumed, 2) == ["2", "4"]


@pytest.mark.parametrize("position", ["rubbish", "ff-3", "future", "%00", "-", "9" * 4000])
async def test_position_that_is_gone_is_reported(
    server: Server, connect: Connect, transport: str, position: str
) -> None:
    """One message of producer `resume` reports it with the new position; live messages follow."""
    (last,) = await publish(server, "1")
    if position == "future":
        position = last.partition("-")[0] + "-99"
    peer = await connect(server, transport, f"last_event_id={position}")
    report = await peer.receive()
    assert (report["producer"], report["lost"], report["message"]) == ("resume", True, GONE_TEXT)
    assert report["id"] == last
    await publish(server, "2")
    assert await texts(peer, 1) == ["2"]
    assert server.hub.traffic["websocket" if transport == "websocket" else "sse"].lost == 1


@pytest.mark.parametrize("by", ["address", "header"])
async def test_position_of_ten_kilobytes_is_reported_as_gone(server: Server, by: str) -> None:
    """The stream reports it; the HTTP parser does not refuse the request."""
    rubbish = "9" * 10_240
    query = f"?last_event_id={rubbish}" if by == "address" else ""
    headers = {"Last-Event-ID": rubbish} if by == "header" else {}
    async with (
        httpx.AsyncClient(base_url=server.web_url) as http,
        http.stream("GET", f"/api/sse{query}", headers=headers) as stream,
    ):
        assert stream.status_code == 200
        lines = (line async for line in stream.aiter_lines() if line.startswith("data: "))
        await anext(lines)
        assert json.loads((await anext(lines)).removeprefix("data: "))["lost"] is True


async def test_welcome_before_a_reported_loss_has_no_position(
    server: Server, connect: Connect, transport: str
) -> None:
    """A client that is cut between the two resumes at its old position, and gets the report again."""
    peer = await connect(server, transport, "last_event_id=ff-3")
    assert "id" not in peer.welcome
    assert (await peer.receive())["lost"] is True


async def test_resuming_client_may_have_picked_unknown_names(
    server: Server, connect: Connect, transport: str
) -> None:
    """After a restart of the server, a browser that is refused does not retry."""
    peer = await connect(server, transport, "producers=news&last_event_id=ff-3")
    assert (await peer.receive())["lost"] is True
    await publish(server, "1")
    assert await texts(peer, 1) == ["1"]


async def test_message_that_left_the_log_is_reported_as_lost(
    start: Start, connect: Connect, transport: str
) -> None:
    """The log keeps `history_count` messages."""
    server = await start(history_count=2)
    before = server.hub.engine.log.last
    await publish(server, "1", "2", "3")
    peer = await connect(server, transport, f"last_event_id={before}")
    assert (await peer.receive())["lost"] is True


async def test_header_has_precedence_over_the_query(server: Server) -> None:
    """EventSource sends Last-Event-ID with the address of its first connect."""
    first, second = await publish(server, "1", "2")
    async with (
        httpx.AsyncClient(base_url=server.web_url) as http,
        http.stream(
            "GET", f"/api/sse?last_event_id={first}", headers={"Last-Event-ID": second}
        ) as stream,
    ):
        lines = stream.aiter_lines()
        welcome = json.loads((await anext(lines)).removeprefix("data: "))
        assert welcome["id"] == second
        assert await anext(lines) == f"id: {second}"


async def test_chat_goes_to_everyone(server: Server, connect: Connect, transport: str) -> None:
    """`/all text` reaches both transports through the log, and is echoed too."""
    speaker = await connect(server, transport, "producers=chat")
    other = await connect(server, OTHER[transport])
    await speaker.say("/all good morning")
    got = await other.receive()
    assert (got["message"], got["producer"], got["seq"]) == ("good morning", "chat", 1)
    assert {(await speaker.receive())["message"] for _ in range(2)} == {
        "good morning",
        "Echo: /all good morning",
    }


async def test_chat_that_cannot_be_sent_is_answered_with_an_error(
    start: Start, connect: Connect, transport: str
) -> None:
    """A text that would fill all outboxes reaches no client, and its sender gets the reason."""
    server = await start(broadcast_bytes=0)
    peer = await connect(server, transport)
    await peer.say("/all " + "\x01" * 20_000)
    answers = [(await peer.receive())["message"] for _ in range(2)]
    assert any(text.startswith("Not sent to everyone: ") and "65536" in text for text in answers)
    assert server.hub.engine.log.last.offset == 0


async def test_slow_client_is_ended_and_may_resume(
    server: Server, connect: Connect, transport: str
) -> None:
    """A client too slow for a shared message is disconnected, and gets the message when it resumes."""
    peer = await connect(server, transport)
    (connection,) = server.hub.connections
    connection.throttle().stop(seconds=60)
    while not connection.is_full:
        connection.send("filler", "x" * 10_000)
    sent = connection.sent
    await publish(server, "1")
    assert connection.reason is not None
    assert connection.reason.code == 1013
    assert connection.sent == sent, "nothing is written to it any more"
    resumed = await connect(server, transport, f"last_event_id={peer.welcome['id']}")
    assert await texts(resumed, 1) == ["1"]
