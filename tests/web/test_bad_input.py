"""Bad input gets one clear line, and does not affect other clients."""

from __future__ import annotations

import asyncio
import struct
from urllib.parse import urlsplit

import httpx
import pytest
import websockets

from rtdemo.server.server import Server
from tests.clients import Peer
from tests.conftest import Connect, Start


@pytest.fixture
async def bystanders(server: Server, connect: Connect) -> dict[str, Peer]:
    """Connections of both transports that must not be affected."""
    return {t: await connect(server, t) for t in ("websocket", "sse")}


async def still_served(bystanders: dict[str, Peer]) -> None:
    for peer in bystanders.values():
        await peer.say("still there?")
        assert (await peer.receive())["message"] == "Echo: still there?"


REQUESTS = [
    ("GET", "/api/sse?producers=message,nix", 400, ["'nix'", "message, status, welcome"]),
    ("GET", "/api/sse?speed=0", 400, ["speed", "'0'", "0.1 to 20"]),
    ("GET", "/api/sse?speed=1000", 400, ["speed", "'1000'"]),
    ("GET", "/api/sse?speed=nan", 400, ["speed", "'nan'"]),
    ("GET", "/api/sse?speed=fast", 400, ["speed", "'fast'"]),
    ("GET", "/ws", 426, ["only WebSocket", "the page is at http://127.0.0.1:"]),
    ("GET", "/nowhere", 404, ["/nowhere", "the page is at /"]),
    ("GET", "/static/../settings.py", 404, ["nothing"]),
    ("DELETE", "/api/stats", 405, ["DELETE", "GET"]),
    ("HEAD", "/ws", 405, []),
    ("POST", "/api/messages", 400, ["client", "welcome"]),
    ("POST", "/api/messages?client=0123", 404, ["client", "connect again"]),
]


@pytest.mark.parametrize(("method", "path", "status", "words"), REQUESTS)
async def test_bad_request_is_one_line(
    server: Server,
    bystanders: dict[str, Peer],
    method: str,
    path: str,
    status: int,
    words: list[str],
) -> None:
    """The status fits, the line names the error and what to do, and other clients are still served."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.request(method, path)
    assert answer.status_code == status
    assert [word for word in words if word not in answer.text] == []
    assert answer.text.count("\n") == (0 if method == "HEAD" else 1)
    assert answer.headers["Content-Type"].startswith("text/plain")
    await still_served(bystanders)


async def test_other_methods_on_the_websocket_site_are_405(
    server: Server, bystanders: dict[str, Peer]
) -> None:
    """The answer names the method that is allowed (RFC 9110 section 15.5.6)."""
    async with httpx.AsyncClient() as http:
        answer = await http.post(server.websocket_url.replace("ws", "http", 1))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert server.web_url in answer.text
    await still_served(bystanders)


async def test_plain_http_on_the_websocket_site_is_426(
    server: Server, bystanders: dict[str, Peer]
) -> None:
    """The answer has the headers of a handshake and the page's address (RFC 9110 section 15.5.22)."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(server.websocket_url.replace("ws", "http", 1))
    assert answer.status_code == 426
    assert (answer.headers["Upgrade"], answer.headers["Sec-WebSocket-Version"]) == ("websocket", "13")
    assert server.web_url in answer.text
    await still_served(bystanders)


@pytest.mark.parametrize(("body", "status"), [(b"x" * 65537, 413), (b"\xff\xfe", 400)])
async def test_post_that_cannot_be_read(
    server: Server, bystanders: dict[str, Peer], body: bytes, status: int
) -> None:
    """A body over 64 KiB is 413, one that is not UTF-8 is 400; 64 KiB is taken (see test_echo)."""
    client = bystanders["sse"].welcome["client"]
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post("/api/messages", params={"client": client}, content=body)
    assert answer.status_code == status
    assert answer.text.count("\n") == 1
    await still_served(bystanders)


async def test_post_for_a_websocket_client_is_404(server: Server, bystanders: dict[str, Peer]) -> None:
    """A WebSocket client sends over its socket."""
    client = bystanders["websocket"].welcome["client"]
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post("/api/messages", params={"client": client}, content=b"x")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("sent", "code"),
    [(b"\xff\xfe", 1007), ("x" * 65537, 1009), (b"x" * 200_000, 1009)],
)
async def test_frame_that_cannot_be_taken(
    server: Server, bystanders: dict[str, Peer], sent: str | bytes, code: int
) -> None:
    """The close code arrives, even if the rest of a large frame is still on its way."""
    async with websockets.connect(server.websocket_url) as socket:
        await socket.recv()
        await socket.send(sent)
        with pytest.raises(websockets.ConnectionClosedError) as caught:
            await socket.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == code
    await still_served(bystanders)


def masked(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame with a mask of zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


RAW_FRAMES = {
    "text that is not UTF-8": (masked(1, b"\xc3\x28"), 1007),
    "reserved opcode": (masked(3, b""), 1002),
    "reserved bit": (bytes([0xC1, 0x80, 0, 0, 0, 0]), 1002),
    "fragmented ping": (bytes([0x09, 0x80, 0, 0, 0, 0]), 1002),
    "continuation of nothing": (masked(0, b"x"), 1002),
    "close code that may not be sent": (masked(8, struct.pack("!H", 1006)), 1002),
    "close code out of range": (masked(8, struct.pack("!H", 5000)), 1002),
    "close frame of one byte": (masked(8, b"x"), 1002),
    "close": (masked(8, struct.pack("!H", 3333)), 3333),
    "close without a code": (masked(8, b""), 1000),
}


@pytest.mark.parametrize("name", RAW_FRAMES)
async def test_raw_frames(server: Server, bystanders: dict[str, Peer], name: str) -> None:
    """A frame that breaks RFC 6455 is answered with a close code of its section 7.4.1."""
    frame, code = RAW_FRAMES[name]
    host, port = server.websocket_url.removeprefix("ws://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: keep-alive, Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    await reader.readuntil(b"established")
    await reader.readuntil(b"}")
    writer.write(frame)
    closing = await reader.read()
    assert closing[0] == 0x88, "a close frame and nothing else"
    assert struct.unpack("!H", closing[2:4]) == (code,)
    writer.close()
    await writer.wait_closed()
    await still_served(bystanders)


@pytest.mark.parametrize(
    "headers", [{"Sec-WebSocket-Version": "12"}, {"Connection": "keep-alive"}, {"Upgrade": "h2c"}]
)
async def test_handshake_of_another_version_is_426(server: Server, headers: dict[str, str]) -> None:
    """Only version 13 is accepted (RFC 6455 section 4.2.2)."""
    good = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    async with httpx.AsyncClient() as http:
        answer = await http.get(server.websocket_url.replace("ws", "http", 1), headers=good | headers)
    assert answer.status_code == 426


async def test_handshake_without_a_key_is_400(server: Server) -> None:
    """One line, also for requests that aiohttp refuses."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    async with httpx.AsyncClient() as http:
        answer = await http.get(server.web_url + "/ws", headers=headers)
    assert (answer.status_code, answer.text.count("\n")) == (400, 1)


ORIGINS = [
    ("http://127.0.0.1:{web}", True),
    ("http://127.0.0.1:{websocket}", True),
    ("https://friend.example", True),
    ("http://127.0.0.1:1", False),
    ("http://localhost:{web}", False),
    ("https://evil.example", False),
    ("http://127.0.0.1.evil.example:{web}", False),
    ("null", False),
    ("file://", False),
    ("http://127.0.0.1:port", False),
]


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
async def test_foreign_origin_is_refused(
    start: Start, connect: Connect, origin: str, allowed: bool
) -> None:
    """Allowed are the same host on our ports, and origins of --allow-origin (RFC 6454); no others."""
    server = await start(allow_origin=("https://friend.example",))
    ports = {"web": urlsplit(server.web_url).port, "websocket": urlsplit(server.websocket_url).port}
    origin = origin.format(**ports)
    headers = {"Origin": origin}
    peer = await connect(server, "sse")
    async with httpx.AsyncClient(base_url=server.web_url, headers=headers) as http:
        posted = await http.post(
            "/api/messages", params={"client": peer.welcome["client"]}, content=b"x"
        )
        async with http.stream("GET", "/api/sse") as stream:
            readable = stream.headers.get("Access-Control-Allow-Origin") == origin
    assert (posted.status_code, readable) == ((202, True) if allowed else (403, False))
    try:
        async with websockets.connect(server.websocket_url, additional_headers=headers):
            opened = True
    except websockets.InvalidStatus as refusal:
        assert refusal.response.status_code == 403
        opened = False
    assert opened is allowed
