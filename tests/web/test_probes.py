"""Probes for `rtdemo doctor` and the page's comparison, and the bounds of their cost."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any, cast

import httpx
import httpx_sse
import pytest
import websockets
from aiohttp.http_websocket import WebSocketReader
from hypothesis import given
from hypothesis import strategies as st
from rtdemo.web.frame_budget import MAX_FRAMES, FrameBudget

from rtdemo.server.server import Server
from rtdemo.web import frame_budget, http_connection, probes
from rtdemo.web.probes import ProbeUsage
from tests.clients import eventually
from tests.conftest import Connect, Start
from tests.raw_client import PING, PONG, TEXT, RawClient, frame, frames, turns

HANDSHAKE = (
    b"GET /api/probe/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def get(server: Server, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        return await http.get(f"/api/probe/{path}", headers=headers)


async def test_request_is_shown_as_it_arrived(server: Server) -> None:
    """The answer has every header, those of proxies too, but no secret value."""
    secrets = {"Authorization": "Bearer x", "Cookie": "y=z", "X-Api-Key": "k3y"}
    answer = await get(server, "request?ticket=t1cket", **secrets, Accept="text/x", Via="1.1 box")
    seen: dict[str, Any] = answer.json()
    assert (seen["method"], seen["path"], seen["http"]) == ("GET", "/api/probe/request", "1.1")
    assert (seen["forwarding"], seen["heartbeat"]) == (["Via"], 25.0)
    shown = {name.title(): value for name, value in seen["headers"].items()}
    assert {shown[name] for name in secrets} == {"(not shown)"}
    assert (shown["Accept"], shown["Via"]) == ("text/x", "1.1 box")
    assert not any(secret in answer.text for secret in ("Bearer x", "y=z", "k3y", "t1cket"))


async def test_connection_shows_what_it_came_through(
    server: Server, connect: Connect, transport: str
) -> None:
    """Both transports are served alike: what the page compares is the same."""
    peer = await connect(server, transport)
    info = (await get(server, f"connection?client={peer.welcome['client']}")).json()
    assert info.pop("process") > 0
    assert info == {
        "server": "",
        "transport": transport,
        "http": "1.1",
        "tls": False,
        "noDelay": True,
        "compression": None,
        "forwarding": [],
        "remote": "127.0.0.1",
    }
    assert (await get(server, "connection?client=unknown")).status_code == 404


async def test_stream_has_the_events_that_were_asked_for(server: Server) -> None:
    """Their number and size are as asked for, and the headers are those of /api/sse."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        path = "/api/probe/events?count=3&every=0&size=100"
        async with httpx_sse.aconnect_sse(http, "GET", path) as stream:
            events = [event.json() async for event in stream.aiter_sse()]
        async with http.stream("GET", "/api/sse") as real:
            wanted = dict(real.headers)
    got = dict(stream.response.headers)
    assert [event["n"] for event in events] == [1, 2, 3]
    assert {len(event["filling"]) for event in events} == {100}
    for name in ("content-type", "cache-control", "x-accel-buffering", "transfer-encoding"):
        assert got[name] == wanted[name]


async def test_silence_comes_first_and_a_client_that_leaves_frees_its_stream(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head arrives at once, and a stream that its client left is counted no more."""
    usage = ProbeUsage()
    monkeypatch.setattr(probes, "ProbeUsage", lambda: usage)
    server = await start()
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        async with http.stream("GET", "/api/probe/events?after=600") as stream:
            assert stream.status_code == 200
            assert usage.streams.total() == 1
        await eventually(lambda: usage.streams == {})


@pytest.mark.parametrize(
    "query",
    [
        *("count=0", "count=101", "every=-1", "size=65537", "after=601", "after=x", "count=99999999"),
        # Leading zeros once made a number look small.
        *("size=00000000080000000", "count=" + "0" * 5000 + "9"),
    ],
)
async def test_parameter_that_is_not_allowed_is_400(server: Server, query: str) -> None:
    """The answer is one line with what is allowed."""
    answer = await get(server, f"events?{query}")
    assert answer.status_code == 400
    assert "is not a whole number from" in answer.text


async def test_socket_shows_its_handshake_and_echoes(server: Server) -> None:
    """A text of 64 KiB is echoed unchanged."""
    url = server.web_url.replace("http", "ws") + "/api/probe/ws"
    offered = websockets.Subprotocol(probes.SUBPROTOCOL)
    async with websockets.connect(
        url, additional_headers={"Via": "1.1 box"}, subprotocols=[offered]
    ) as socket:
        seen = json.loads(await socket.recv())
        assert seen["headers"]["Via"] == "1.1 box"
        assert socket.subprotocol == probes.SUBPROTOCOL
        text = "ü" * 32_768
        await socket.send(text)
        assert await socket.recv() == text


async def test_foreign_page_gets_no_socket(server: Server) -> None:
    """A foreign origin is refused, as on every socket."""
    url = server.web_url.replace("http", "ws") + "/api/probe/ws"
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(url, origin=websockets.Origin("https://foreign.example"))
    assert refused.value.response.status_code == 403


async def test_address_that_asks_too_often_is_429(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer has the seconds to wait; other paths still answer."""
    # However long a busy machine takes for the requests, none is given back meanwhile.
    monkeypatch.setattr(probes, "REQUESTS_PER_SECOND", 0.001)
    server = await start()
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        statuses = [(await http.get("/api/probe/request")).status_code for _ in range(probes.BURST + 3)]
        answer = await http.get("/api/probe/request")
        assert (await http.get("/api/time")).status_code == 200
    assert statuses[: probes.BURST] == [200] * probes.BURST
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


async def test_network_of_64_bits_is_one_client(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """An IPv6 client has 2^64 addresses, and no more probes than a client with one."""
    monkeypatch.setattr(probes, "BURST", 1)
    monkeypatch.setattr(probes, "REQUESTS_PER_SECOND", 0.001)
    monkeypatch.setattr(probes, "MAX_STREAMS_OF_ADDRESS", 0)
    server = await start(trusted_proxies=("1",))

    async def probe(path: str, address: str) -> httpx.Response:
        return await get(server, path, **{"X-Forwarded-For": address})

    assert (await probe("request", "2001:db8::1")).status_code == 200
    refused = await probe("request", "2001:db8::2")
    assert refused.status_code == 429
    assert "2001:db8::/64" in refused.text
    assert (await probe("request", "2001:db8:0:1::1")).status_code == 200
    assert "2001:db8:0:2::/64 are open" in (await probe("events", "2001:db8:0:2::1")).text


async def test_streams_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream beyond the bound is refused, over either transport."""
    monkeypatch.setattr(probes, "MAX_STREAMS", 1)
    async with (
        httpx.AsyncClient(base_url=server.web_url) as http,
        http.stream("GET", "/api/probe/events?after=600"),
    ):
        assert (await http.get("/api/probe/events")).status_code == 429
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(server.web_url.replace("http", "ws") + "/api/probe/ws")


async def test_one_address_cannot_take_all_streams(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address with its share of streams is refused another, though the total has room."""
    monkeypatch.setattr(probes, "MAX_STREAMS_OF_ADDRESS", 1)
    async with (
        httpx.AsyncClient(base_url=server.web_url) as http,
        http.stream("GET", "/api/probe/events?after=600"),
    ):
        refused = await http.get("/api/probe/events")
        assert refused.status_code == 429
        assert "1 probes of 127.0.0.1 are open" in refused.text


async def test_foreign_page_gets_no_events(server: Server) -> None:
    """A foreign page cannot make its visitors' browsers open such streams."""
    assert (await get(server, "events", Origin="https://foreign.example")).status_code == 403


async def test_flood_of_texts_delays_no_other_client(server: Server) -> None:
    """Other tasks run between two echoes, and the socket ends after `MAX_ECHOES`."""
    url = server.web_url.replace("http", "ws") + "/api/probe/ws"
    async with websockets.connect(url) as socket, httpx.AsyncClient(base_url=server.web_url) as http:
        await socket.recv()
        for _ in range(probes.MAX_ECHOES * 2):
            await socket.send("x")
        assert (await http.get("/healthz")).status_code == 200
        got = [text async for text in socket]
    assert got == ["x"] * probes.MAX_ECHOES
    assert socket.close_code == 1000


@pytest.mark.parametrize("path", ["request", "events", "connection?client=x", "ws"])
async def test_probes_can_be_switched_off(start: Start, path: str) -> None:
    """Then every probe answers 404."""
    server = await start(probes=False)
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    answer = await get(server, path, **(upgrade if path == "ws" else {}))
    assert answer.status_code == 404
    assert "--probes" in answer.text


async def test_an_ipv6_network_is_one_address(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has a network of 2^64 addresses: their probes count together, and so do their streams."""
    monkeypatch.setattr(probes, "REQUESTS_PER_SECOND", 0.001)
    monkeypatch.setattr(probes, "MAX_STREAMS_OF_ADDRESS", 1)
    server = await start(trusted_proxies=("1",))
    async with httpx.AsyncClient(base_url=server.web_url) as http:

        async def status(address: str, path: str = "request") -> int:
            headers = {"X-Forwarded-For": address}
            return (await http.get(f"/api/probe/{path}", headers=headers)).status_code

        first = {"X-Forwarded-For": "2001:db8::1"}
        async with http.stream("GET", "/api/probe/events?after=600", headers=first):
            assert await status("2001:db8::2", "events") == 429
            assert await status("2001:db8:0:1::2", "events") == 200
        for number in range(probes.BURST - 2):
            assert await status(f"2001:db8::{number:x}") == 200
        assert await status("2001:db8::ffff") == 429
        assert await status("2001:db8:0:1::2") == 200


@pytest.mark.parametrize("before", [b"", frame(PING, b"") * 199 + frame(TEXT, b"x")])
async def test_flood_of_pings_ends_its_socket(server: Server, before: bytes) -> None:
    """20,000 pings in a segment are no more work than 200 texts: aiohttp answered all before others."""
    client = await RawClient(server, "sse").connect()
    await client.send(HANDSHAKE)
    await client.read_until(b'"now"')
    await client.send(before + frame(PING, b"") * 20_000)
    with contextlib.suppress(ConnectionError):
        await client.read_to_end()
    pongs = [each for each in frames(client.received, is_all=False)[1:] if each.opcode == PONG]
    assert 0 < len(pongs) <= probes.MAX_ECHOES
    client.leave()


@pytest.mark.parametrize("flood", [b"\x81\x00", b"\x8a\x00"])
async def test_flood_of_empty_frames_is_not_parsed(
    server: Server, monkeypatch: pytest.MonkeyPatch, flood: bytes
) -> None:
    """Only payloads are bounded in aiohttp: it parsed 131,000 empty frames of a client in a turn."""
    parsed = 0
    feed = WebSocketReader.feed_data

    class Counting:
        """aiohttp's reader, which counts the bytes that it gets."""

        def __init__(self, reader: WebSocketReader) -> None:
            self._reader = reader
            self.feed_eof = reader.feed_eof

        def feed_data(self, data: bytes) -> tuple[bool, bytes]:
            nonlocal parsed
            parsed += len(data)
            return feed(self._reader, data)

    monkeypatch.setattr(
        http_connection,
        "FrameBudget",
        lambda reader, cut: FrameBudget(cast("WebSocketReader", Counting(reader)), cut),
    )
    client = await RawClient(server, "sse").connect()
    await client.send(HANDSHAKE)
    await client.read_until(b'"now"')
    with contextlib.suppress(ConnectionError):
        for _ in range(8):
            await client.send(flood * 100_000)
        await client.read_to_end()
    assert 0 < parsed <= 2 * MAX_FRAMES
    assert server.hub.refused["probe_frames"] == 1
    client.leave()


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 125, 126, 300, 65_535, 65_536]), st.booleans()), max_size=9
    ),
    st.lists(st.integers(1, 400), max_size=30),
)
def test_frames_within_the_budget_pass_however_they_are_cut(
    sent: list[tuple[int, bool]], cuts: list[int]
) -> None:
    """Each head may be split anywhere; of what is beyond the budget, nothing passes."""
    passed = bytearray()

    class Reader:
        """Keep what passes."""

        def feed_data(self, data: bytes) -> tuple[bool, bytes]:
            passed.extend(data)
            return False, b""

    made = [frame(TEXT, bytes(size)) if masked else frame_of_server(size) for size, masked in sent]
    data = b"".join(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_budget, "MAX_FRAMES", 5)
        budget = FrameBudget(cast("WebSocketReader", Reader()), lambda: None)
        at = 0
        for size in cuts:
            budget.feed_data(data[at : at + size])
            at += size
        if data[at:]:
            budget.feed_data(data[at:])
    assert passed == b"".join(made[:5])


def frame_of_server(size: int) -> bytes:
    """Return a text frame without a mask."""
    masked = frame(TEXT, bytes(size))
    head = masked[: len(masked) - size - 4]
    return bytes((head[0], head[1] & 0x7F)) + head[2:] + bytes(size)


async def test_client_that_leaves_before_its_probe_begins_is_no_error(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its reset arrives between the head of its request and the first step of the handler."""
    monkeypatch.setattr(probes, "_check", lambda request: request.protocol.connection_lost(None))
    client = await RawClient(server, "sse").connect()
    await client.send(b"GET /api/probe/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await turns(20)
    client.leave(by_reset=True)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
