"""Probes on the paths of real streams: `/api/sse?probe=...` and `/ws?probe=...`."""

from __future__ import annotations

import json
import re
from collections import Counter

import httpx
import pytest
import websockets

from rtdemo.engine.interface import Draft
from rtdemo.protocol.message import Message
from rtdemo.protocol.wire import PING, websocket_control
from rtdemo.server import server as server_module
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import SLOT_S
from rtdemo.web import probe_streams, probe_usage
from rtdemo.web.probe_usage import ProbeUsage
from tests.clients import Ended, eventually
from tests.conftest import Connect, Start
from tests.raw_client import TEXT, RawClient, frame, frames, request

SIZES = (100, 6144, 65_536)


@pytest.fixture
async def server(start: Start, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server whose heartbeats and probes follow the test's clock."""
    monkeypatch.setattr(server_module, "LoopClock", lambda loop: clock)
    return await start()


@pytest.fixture
def usage(monkeypatch: pytest.MonkeyPatch) -> ProbeUsage:
    """What probes use; give it before the server starts."""
    usage = ProbeUsage()
    monkeypatch.setattr("rtdemo.web.probes.ProbeUsage", lambda: usage)
    return usage


async def probe(server: Server, transport: str, query: str, clock: VirtualClock | None) -> RawClient:
    """Return a client of a probe that has received its first two messages."""
    client = await RawClient(server, transport).connect()
    await client.send(request(server, transport, query))
    await client.read_until(b"established")
    if clock is not None:
        clock.advance(probe_streams.FIRST_AFTER_S + SLOT_S)
    await client.read_until(b"sseHeartbeat")
    return client


async def test_messages_have_the_sizes_and_silences_that_were_asked_for(
    server: Server, clock: VirtualClock, connect: Connect, transport: str
) -> None:
    """After the last silence the stream ends."""
    query = f"probe={','.join(map(str, SIZES))}&silence=2"
    peer = await connect(server, transport, query)
    clock.advance(probe_streams.FIRST_AFTER_S + SLOT_S)
    hello = json.loads((await peer.receive())["message"])
    assert (hello["method"], hello["http"], hello["sseHeartbeat"]) == ("GET", "1.1", 15.0)
    (connection,) = server.hub.connections
    for number, size in enumerate(SIZES):
        clock.advance(1.8)
        assert connection.sent == 2 + number
        clock.advance(0.21)
        message = await peer.receive()
        assert message["producer"] == "probe"
        # How many digits the time has depends on its last ones.
        assert len(json.dumps(message, separators=(",", ":"))) == pytest.approx(size, abs=3)
    clock.advance(1.8)
    assert connection.reason is None
    clock.advance(0.21)
    with pytest.raises(Ended):
        await peer.receive()


async def test_head_is_that_of_an_ordinary_stream(server: Server, transport: str) -> None:
    """Proxies decide by it how they treat a stream."""
    heads = []
    for query in ("", "probe=100"):
        client = await RawClient(server, transport).connect()
        await client.send(request(server, transport, query))
        await client.read_until(b"established")
        head = client.received.partition(b"\r\n\r\n")[0]
        heads.append(re.sub(rb"(?i)(date|sec-websocket-accept): .*", b"", head))
        client.leave()
    assert heads[0] == heads[1]


async def test_silence_has_no_byte(server: Server, clock: VirtualClock, transport: str) -> None:
    """Neither a ping or a comment, nor a message that everyone gets, nor a position."""
    client = await probe(server, transport, "probe=100&silence=600", clock)
    for _ in range(59):
        clock.advance(10)
    for number in range(1100):
        await server.hub.publish([Draft(Message(f"everyone {number}"), "news")])
    before = len(client.received)
    (connection,) = server.hub.connections
    connection.send("test", "marker")
    await client.read_until(b"marker")
    added = client.received[before:]
    assert added.count(b"sentAt") == 1
    assert not any(other in added for other in (b": ping", b"everyone", b"position", frame_of_ping()))
    client.leave()


def frame_of_ping() -> bytes:
    return websocket_control(PING)


async def test_text_comes_back(server: Server) -> None:
    """As a message of the probe, whatever plugins there are."""
    url = f"{server.web_url.replace('http', 'ws')}/ws?probe=&silence=60"
    async with websockets.connect(url) as socket:
        await socket.send("ü" * 32_768)
        while (fields := json.loads(await socket.recv()))["message"][:1] != "ü":
            pass
    assert (fields["message"], fields["producer"]) == ("ü" * 32_768, "probe")


async def test_subprotocol_is_agreed_to_by_probes_alone(server: Server) -> None:
    """An ordinary socket has none."""
    offered = [websockets.Subprotocol("other"), websockets.Subprotocol(probe_streams.SUBPROTOCOL)]
    agreed = []
    for query in ("", "?probe="):
        url = f"{server.web_url.replace('http', 'ws')}/ws{query}"
        async with websockets.connect(url, subprotocols=offered) as socket:
            agreed.append(socket.subprotocol)
    assert agreed == [None, probe_streams.SUBPROTOCOL]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        *((f"probe={size}", "probe: ") for size in ("99", "65537", "x", "-1", "100,,100", "0100")),
        ("probe=" + ",".join(["100"] * 17), "at most 16 sizes"),
        *((f"probe=100&silence={seconds}", "silence: ") for seconds in ("0", "601", "1.5", "9" * 5000)),
        ("probe=100,100&silence=600", "longer than 1200 s"),
    ],
)
async def test_parameter_that_is_not_allowed_is_400(server: Server, query: str, words: str) -> None:
    """The answer is one line with what is allowed, and nothing counts as open."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get(f"/api/sse?{query}")
    assert answer.status_code == 400
    assert words in answer.text
    assert len(server.hub) == 0


async def test_stream_counts_until_its_client_leaves(
    usage: ProbeUsage, start: Start, transport: str
) -> None:
    """At once, however long its silence still is."""
    server = await start()
    client = await probe(server, transport, "probe=100&silence=600", None)
    assert usage.streams == Counter({"127.0.0.1": 1})
    client.leave()
    await eventually(lambda: usage.streams == {})


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [("MAX_STREAMS", "probes of 127.0.0.1 are open"), ("MAX_STREAMS_OF_ADDRESS", "1 probes of")],
)
async def test_streams_are_bounded(
    server: Server,
    clock: VirtualClock,
    transport: str,
    limit: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One beyond the bound is refused over either transport; ordinary streams are not."""
    monkeypatch.setattr(probe_usage, limit, 1)
    client = await probe(server, "sse", "probe=&silence=600", clock)
    refused = await RawClient(server, transport).connect()
    await refused.send(request(server, transport, "probe=&silence=600"))
    await refused.read_until(sentence.encode())
    assert b" 429 " in refused.received
    ordinary = await RawClient(server, transport).connect()
    await ordinary.send(request(server, transport))
    await ordinary.read_until(b"established")
    for each in (client, refused, ordinary):
        each.leave()


async def test_ipv6_network_has_one_share_of_streams(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client has a network of 2^64 addresses."""
    monkeypatch.setattr(probe_usage, "MAX_STREAMS_OF_ADDRESS", 1)
    server = await start(trusted_proxies=("1",))
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        path = "/api/sse?probe=&silence=600"

        async def status(address: str) -> int:
            async with http.stream("GET", path, headers={"X-Forwarded-For": address}) as answer:
                return answer.status_code

        first = {"X-Forwarded-For": "2001:db8::1"}
        async with http.stream("GET", path, headers=first):
            assert await status("2001:db8::2") == 429
            assert await status("2001:db8:0:1::2") == 200


async def test_foreign_page_gets_no_probe(server: Server) -> None:
    """A foreign page cannot make its visitors' browsers open such streams."""
    foreign = {"Origin": "https://foreign.example"}
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        assert (await http.get("/api/sse?probe=", headers=foreign)).status_code == 403


async def test_probes_can_be_switched_off(start: Start, transport: str) -> None:
    """The answer names the flag that switches them on; ordinary streams open."""
    server = await start(probes=False)
    client = await RawClient(server, transport).connect()
    await client.send(request(server, transport, "probe="))
    await client.read_until(b"--probes")
    assert b" 404 " in client.received
    client.leave()


async def test_flood_of_texts_ends_a_probe_as_every_socket(server: Server, clock: VirtualClock) -> None:
    """The limit of texts applies to what a probe sends back."""
    client = await probe(server, "websocket", "probe=&silence=600", clock)
    await client.send(frame(TEXT, b"x") * 5000)
    received = await client.read_to_end()
    assert server.hub.refused["texts_per_connection"] == 1
    assert len(frames(received, is_all=False)) < 1000
    client.leave()
