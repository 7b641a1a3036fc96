"""What a client gets, the same over both transports."""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import websockets

from plugins.status import SSE, WEBSOCKET
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import SLOT_S
from tests.clients import Fields, Peer, eventually
from tests.conftest import Connect, Start

LABELS = {"websocket": "WebSocket", "sse": "SSE"}


async def receive(peer: Peer, count: int) -> list[Fields]:
    return [await peer.receive() for _ in range(count)]


async def test_welcome_comes_first_with_the_client_s_id(
    server: Server, connect: Connect, transport: str
) -> None:
    """The first message has the transport's name, and the client's secret id of 128 bits."""
    peer = await connect(server, transport)
    assert peer.welcome["message"] == f"{LABELS[transport]} connection established"
    assert (peer.welcome["producer"], peer.welcome["seq"]) == ("welcome", 1)
    assert re.fullmatch("[0-9a-f]{32}", peer.welcome["client"])
    assert server.hub.find(peer.welcome["client"])


@pytest.mark.parametrize(
    ("query", "rate"), [("", 1), ("speed=2", 2), ("speed=0.1", 0.1), ("speed=20", 20)]
)
async def test_built_in_producers_keep_their_texts_and_periods(
    server: Server, connect: Connect, clock: VirtualClock, transport: str, query: str, rate: float
) -> None:
    """Messages every 2 s, statuses every 3 s (WebSocket) or 5 s (SSE), at any speed."""
    peer = await connect(server, transport, query)
    clock.advance(30 / rate + SLOT_S)
    period = {"websocket": 3, "sse": 5}[transport]
    fields = await receive(peer, 15 + 30 // period)
    assert Counter(f["producer"] for f in fields) == {"message": 15, "status": 30 // period}
    for producer in ("message", "status"):
        own = [f for f in fields if f["producer"] == producer]
        assert [f["seq"] for f in own] == list(range(1, len(own) + 1))
    texts = {f["producer"]: f["message"] for f in fields}
    assert re.fullmatch(rf"{LABELS[transport]} Message \d{{1,3}}", texts["message"])
    assert texts["status"] in {"websocket": WEBSOCKET, "sse": SSE}[transport]


async def test_picked_producers_only(
    server: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """`?producers=status` leaves out `message`; the welcome is sent all the same."""
    peer = await connect(server, transport, "producers=status")
    clock.advance(15)
    count = 15 // {"websocket": 3, "sse": 5}[transport]
    assert {f["producer"] for f in await receive(peer, count)} == {"status"}


@pytest.mark.parametrize(
    "text", ["hello", "", "ünï ✓ 𝄞", "line\nbreak\r\n\0end", "x" * 65536, '{"a": 1}']
)
async def test_echo(server: Server, connect: Connect, transport: str, text: str) -> None:
    """Any text up to 64 KiB is echoed unchanged."""
    peer = await connect(server, transport)
    await peer.say(text)
    reply = await peer.receive()
    assert (reply["message"], reply["producer"], reply["seq"]) == (f"Echo: {text}", "echo", 1)


async def test_binary_frame_is_read_as_text(server: Server) -> None:
    """A binary frame of UTF-8 is a text like any other."""
    async with websockets.connect(server.websocket_url) as socket:
        await socket.recv()
        await socket.send("tschüß".encode())
        assert "Echo: tschüß" in str(await socket.recv())


async def test_every_path_of_the_websocket_site(server: Server) -> None:
    """The WebSocket site answers at any path; the web site at /ws."""
    for url in (f"{server.websocket_url}any/path", server.web_url.replace("http", "ws") + "/ws"):
        async with websockets.connect(url) as socket:
            assert "WebSocket connection established" in str(await socket.recv())


async def test_single_site_has_everything_on_one_port(start: Start, connect: Connect) -> None:
    """The web site alone serves the page, SSE and WebSocket."""
    server = await start(single_site=True)
    assert server.websocket_url == server.web_url.replace("http", "ws") + "/ws"
    for transport in LABELS:
        assert (await connect(server, transport)).welcome


async def test_client_that_leaves_frees_everything(
    server: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """A client that leaves cleanly frees its connection, ticks and tasks."""
    tasks = len(asyncio.all_tasks())
    peer = await connect(server, transport)
    assert server.hub.schedule.ticks == 2
    await peer.leave()
    await eventually(lambda: len(server.hub) == 0)
    assert server.hub.schedule.ticks == 0
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_plugin_file_reaches_both_transports(
    start: Start, connect: Connect, clock: VirtualClock, transport: str, tmp_path: Path
) -> None:
    """A plugin's producer reaches the client; its hooks are called at connect and disconnect."""
    plugin = tmp_path / "dice.py"
    plugin.write_text(
        textwrap.dedent("""
            from rtdemo import hookimpl, producer
            seen = []

            @producer(every=1.5)
            async def dice():
                return "You rolled 6"

            @hookimpl
            def producers(client):
                yield from ()

            @hookimpl
            def connected(client):
                seen.append(client.transport)

            @hookimpl
            def disconnected(client, reason):
                seen.append(reason.name)

            @hookimpl
            async def receive(text):
                return ",".join(seen)
        """)
    )
    server = await start(files=(plugin,))
    peer = await connect(server, transport, "producers=dice")
    clock.advance(1.5)
    rolled = await peer.receive()
    assert (rolled["message"], rolled["producer"]) == ("You rolled 6", "dice")
    await peer.leave()
    await eventually(lambda: len(server.hub) == 0)
    second = await connect(server, transport, "producers=dice")
    await second.say("?")
    replies = {f["producer"]: f["message"] for f in await receive(second, 2)}
    assert replies["dice"] == f"{transport},CLIENT_LEFT,{transport}"


async def test_failing_plugin_leaves_the_rest_alone(
    start: Start, connect: Connect, clock: VirtualClock, transport: str, tmp_path: Path
) -> None:
    """A producer that raises ends no connection, and no other producer misses a run."""
    bad = tmp_path / "bad.py"
    bad.write_text(
        "from rtdemo import producer\n@producer(every=0.5)\ndef bad(): raise RuntimeError('x')\n"
    )
    broken = tmp_path / "broken.py"
    broken.write_text("def broken(:\n")
    server = await start(files=(bad, broken))
    peer = await connect(server, transport)
    clock.advance(10)
    fields = await receive(peer, 5 + 10 // {"websocket": 3, "sse": 5}[transport])
    assert Counter(f["producer"] for f in fields)["message"] == 5
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        listed = {p["name"]: p for p in (await http.get("/api/producers")).json()}
    assert listed["bad"]["state"] == "backing off"
    assert listed["bad"]["lastError"] == "RuntimeError: x"
    assert listed["bad"]["failures"] == 4, "at 0.5, 1.5, 3.5 and 7.5 s"
    assert listed["message"]["state"] == "running"


async def test_sse_headers_and_http_1_0(server: Server) -> None:
    """Headers keep proxies from buffering the stream; an HTTP/1.0 proxy gets it without chunks."""
    host, port = server.web_url.removeprefix("http://").split(":")
    for version, first in (
        ("1.1", r"\r\n\r\n[0-9a-f]+\r\ndata: \{[^\n]*\nid: \S+\nretry: \d{4}\n\n\r\n"),
        ("1.0", r"\r\n\r\ndata: \{[^\n]*\nid: \S+\nretry: \d{4}\n\n"),
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /api/sse HTTP/{version}\r\nHost: {host}:{port}\r\n\r\n".encode())
        answer = ""
        while "established" not in answer:
            answer += (await reader.read(4096)).decode()
        assert re.search(first, answer), answer
        for header in (
            "Content-Type: text/event-stream",
            "Cache-Control: no-cache, no-transform",
            "X-Accel-Buffering: no",
        ):
            assert header in answer
        writer.close()
        await writer.wait_closed()


async def test_stats_count_what_went_over_the_wire(
    server: Server, connect: Connect, clock: VirtualClock, transport: str
) -> None:
    """Statistics count connections, messages, bytes, texts received, ticks and their lag."""
    peer = await connect(server, transport)
    clock.advance(2)
    await peer.receive()
    await peer.say("hi")
    await peer.receive()
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        stats = (await http.get("/api/stats")).json()
    assert stats["connections"] == {"websocket": 0, "sse": 0} | {transport: 1}
    assert stats["messages"][transport] == 3
    assert stats["received"][transport] == 1
    assert stats["bytes"][transport] > 200
    assert stats["drops"] == stats["tooSlow"] == {"websocket": 0, "sse": 0}
    assert (stats["timers"], stats["tickLag"]["count"], stats["tickLag"]["p99"]) == (2, 1, 0.0)
    assert stats["tasks"] >= 2
    assert stats["uptime"] >= 0


async def test_stats_of_an_idle_server(server: Server) -> None:
    """Without a tick the lag is null."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        stats = (await http.get("/api/stats")).json()
    assert stats["tickLag"] == {
        "p50": None,
        "p95": None,
        "p99": None,
        "max": None,
        "count": 0,
        "skipped": 0,
    }


async def test_page_time_and_health(server: Server) -> None:
    """The page names the WebSocket's port, unless it was requested through a proxy."""
    websocket_port = str(urlsplit(server.websocket_url).port)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        page = await http.get("/")
        assert websocket_port in page.text
        for proxied in ("example.org", "example.org:8443", "example.org:x"):
            behind = await http.get("/", headers={"Host": proxied})
            assert websocket_port not in behind.text
        style = await http.get("/static/base.css")
        assert (style.status_code, style.headers["Cache-Control"]) == (200, "no-cache")
        assert isinstance((await http.get("/api/time")).json()["now"], float)
        assert (await http.get("/healthz")).text == (await http.get("/readyz")).text == "ok\n"
        assert [p["name"] for p in (await http.get("/api/producers")).json()] == [
            "message",
            "status",
            "status",
            "welcome",
        ]
