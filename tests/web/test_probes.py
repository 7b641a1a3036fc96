"""The server side of `rtdemo doctor` and of the page's parity audit, within its bounds."""

from __future__ import annotations

import json
from typing import Any

import httpx
import httpx_sse
import pytest
import websockets

from rtdemo.server.server import Server
from rtdemo.web import probes
from rtdemo.web.probes import ProbeUsage, TokenBuckets
from tests.clients import eventually
from tests.conftest import Connect, Start


async def get(server: Server, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        return await http.get(f"/api/probe/{path}", headers=headers)


async def test_request_is_told_as_it_arrived(server: Server) -> None:
    """With every header but what is secret, and what proxies said."""
    secrets = {"Authorization": "Bearer x", "Cookie": "y=z", "X-Api-Key": "k3y"}
    answer = await get(server, "request?ticket=t1cket", **secrets, Accept="text/x", Via="1.1 box")
    seen: dict[str, Any] = answer.json()
    assert (seen["method"], seen["path"], seen["http"]) == ("GET", "/api/probe/request", "1.1")
    assert (seen["forwarding"], seen["heartbeat"]) == (["Via"], 25.0)
    told = {name.title(): value for name, value in seen["headers"].items()}
    assert {told[name] for name in secrets} == {"(not shown)"}
    assert (told["Accept"], told["Via"]) == ("text/x", "1.1 box")
    assert not any(secret in answer.text for secret in ("Bearer x", "y=z", "k3y", "t1cket"))


async def test_connection_tells_its_route(server: Server, connect: Connect, transport: str) -> None:
    """Both transports are served alike: what the page's audit compares is the same."""
    peer = await connect(server, transport)
    route = (await get(server, f"connection?client={peer.welcome['client']}")).json()
    assert route.pop("process") > 0
    assert route == {
        "server": "",
        "transport": transport,
        "http": "1.1",
        "tls": False,
        "noDelay": True,
        "compression": None,
        "forwarding": [],
        "remote": "127.0.0.1",
    }
    assert (await get(server, "connection?client=nobody")).status_code == 404


async def test_events_come_as_they_were_asked_for(server: Server) -> None:
    """So many, of such a size, with the headers of the real stream."""
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
        # Zeros in front made a number look small once.
        *("size=00000000080000000", "count=" + "0" * 5000 + "9"),
    ],
)
async def test_what_cannot_be_asked_for(server: Server, query: str) -> None:
    """One line with what is allowed."""
    answer = await get(server, f"events?{query}")
    assert answer.status_code == 400
    assert "is not a whole number from" in answer.text


async def test_socket_tells_its_handshake_and_sends_back(server: Server) -> None:
    """Up to 64 KiB, as it came."""
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
    """As with every socket."""
    url = server.web_url.replace("http", "ws") + "/api/probe/ws"
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(url, origin=websockets.Origin("https://foreign.example"))
    assert refused.value.response.status_code == 403


async def test_who_asks_too_often_waits(server: Server) -> None:
    """429 with the seconds to wait; other paths go on."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        statuses = [(await http.get("/api/probe/request")).status_code for _ in range(probes.BURST + 3)]
        answer = await http.get("/api/probe/request")
        assert (await http.get("/api/time")).status_code == 200
    assert statuses[: probes.BURST] == [200] * probes.BURST
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


async def test_streams_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than there may be is refused, over either transport."""
    monkeypatch.setattr(probes, "MAX_STREAMS", 1)
    async with (
        httpx.AsyncClient(base_url=server.web_url) as http,
        http.stream("GET", "/api/probe/events?after=600"),
    ):
        assert (await http.get("/api/probe/events")).status_code == 429
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(server.web_url.replace("http", "ws") + "/api/probe/ws")


async def test_one_address_does_not_take_all_streams(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds as many as one may have is refused another, though there is room."""
    monkeypatch.setattr(probes, "MAX_STREAMS_OF_ADDRESS", 1)
    async with (
        httpx.AsyncClient(base_url=server.web_url) as http,
        http.stream("GET", "/api/probe/events?after=600"),
    ):
        refused = await http.get("/api/probe/events")
        assert refused.status_code == 429
        assert "1 probes of 127.0.0.1 are open" in refused.text


async def test_foreign_page_gets_no_events(server: Server) -> None:
    """Nor can it have its visitors' servers make them."""
    assert (await get(server, "events", Origin="https://foreign.example")).status_code == 403


async def test_flood_of_texts_keeps_nobody_waiting(server: Server) -> None:
    """Each is sent back in its turn, and after so many the socket ends."""
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
    """Then nothing is there."""
    server = await start(probes=False)
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    answer = await get(server, path, **(upgrade if path == "ws" else {}))
    assert answer.status_code == 404
    assert "--probes" in answer.text


def test_allowance_comes_back_with_time() -> None:
    """Each name has its own; the wait that is told suffices."""
    now = 0.0
    buckets = TokenBuckets(2, 0.5, lambda: now)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 2.0]
    assert buckets.take("b") == 0
    now = 1.9
    assert buckets.take("a") == pytest.approx(0.1)
    now = 2.0
    assert buckets.take("a") == 0


def test_names_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that asked longest ago is forgotten first."""
    monkeypatch.setattr(probes, "MAX_ADDRESSES", 2)
    buckets = TokenBuckets(1, 0.001, lambda: 0.0)
    assert [buckets.take(name) for name in "abc"] == [0, 0, 0]
    assert buckets.take("c") > 0
    assert buckets.take("a") == 0
