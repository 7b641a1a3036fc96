"""A client on a bare socket: the test decides which bytes a segment has, and how the client leaves."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

MASK = b"\x37\xfa\x21\x3d"
"""The mask of the examples in RFC 6455 section 5.7."""
CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
GOODBYE = struct.pack("!H", 1000)
"""Payload of a normal close frame."""


class Addresses(Protocol):
    """A server, in this process or in another one, by the URLs of its sites."""

    @property
    def web_url(self) -> str: ...

    @property
    def websocket_url(self) -> str: ...


@dataclass(frozen=True)
class Frame:
    """A frame that the server sent; none of them is fragmented."""

    opcode: int
    payload: bytes

    def __str__(self) -> str:
        """Return a message's text, `pong` with its payload, or `close` with its code."""
        if self.opcode == TEXT:
            return str(json.loads(self.payload)["message"])
        if self.opcode == CLOSE:
            return f"close {struct.unpack('!H', self.payload[:2])[0]}"
        return {PING: "ping ", PONG: "pong "}[self.opcode] + self.payload.decode(errors="replace")


def frame(opcode: int, payload: bytes, final: bool = True) -> bytes:
    """Return a client's frame: masked, with the shortest form of its length."""
    first, length = opcode | (0x80 if final else 0), len(payload)
    if length < 126:
        head = struct.pack("!BB", first, 0x80 | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, length)
    return head + MASK + bytes(byte ^ MASK[n % 4] for n, byte in enumerate(payload))


def unmasked(opcode: int, payload: bytes) -> bytes:
    """Return a short frame without a mask, which a client must not send (RFC 6455 section 5.1)."""
    return bytes((0x80 | opcode, len(payload))) + payload


def frames(data: bytes, is_all: bool = True) -> list[Frame]:
    """Return the frames after the server's 101.

    Arguments:
        data: all that the server has sent.
        is_all: whether nothing follows; else the last frame may still be on its way.

    Raises:
        AssertionError: the answer is no 101, or the last frame is cut off.
    """
    head, _, rest = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), data[:200]
    found = []
    while rest:
        code = rest[1] if len(rest) > 1 else 0
        start = {126: 4, 127: 10}.get(code, 2)
        length = int.from_bytes(rest[2:start]) if start > 2 else code
        if len(rest) < start + length:
            assert not is_all, "the last frame is cut off"
            break
        assert rest[0] & 0xF0 == 0x80, "the server sends no fragments, and sets no reserved bits"
        found.append(Frame(rest[0] & 0x0F, rest[start : start + length]))
        rest = rest[start + length :]
    return found


def request(server: Addresses, transport: str, query: str = "") -> bytes:
    """Return the request that opens a WebSocket or an event stream."""
    url = urlsplit(server.websocket_url if transport == "websocket" else f"{server.web_url}/api/sse")
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    headers = upgrade if transport == "websocket" else ""
    return f"GET {url.path}?{query} HTTP/1.1\r\nHost: {url.netloc}\r\n{headers}\r\n".encode()


class RawClient:
    """A TCP connection to the site of a transport.

    Attributes:
        socket: does not block, and sends each write at once as a segment.
        received: all that `read_until` and `read_to_end` have read.
    """

    def __init__(self, server: Addresses, transport: str) -> None:
        url = urlsplit(server.websocket_url if transport == "websocket" else server.web_url)
        self._address = ("127.0.0.1", url.port)
        self._loop = asyncio.get_running_loop()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    async def connect(self) -> RawClient:
        """Open the TCP connection; send nothing."""
        await self._loop.sock_connect(self.socket, self._address)
        return self

    async def send(self, segment: bytes) -> None:
        """Send bytes, and wait until the kernel has all of them."""
        await self._loop.sock_sendall(self.socket, segment)

    async def read_until(self, marker: bytes) -> None:
        """Read until some bytes have arrived.

        Raises:
            AssertionError: the server closes before.
        """
        while marker not in self.received:
            data = await self._loop.sock_recv(self.socket, 64 * 1024)
            assert data, f"the server closed before {marker!r}: {self.received[-500:]!r}"
            self.received += data

    async def read_more(self) -> bool:
        """Read what has arrived; return whether that was not the end."""
        data = await self._loop.sock_recv(self.socket, 64 * 1024)
        self.received += data
        return bool(data)

    async def read_to_end(self) -> bytes:
        """Read until the server closes; return all that it sent since the beginning."""
        while data := await self._loop.sock_recv(self.socket, 64 * 1024):
            self.received += data
        return self.received

    def leave(self, by_reset: bool = False) -> None:
        """Close, with RST or with FIN."""
        if by_reset:
            # Linger of zero seconds: close sends RST.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.end()
        self.socket.close()

    def end(self) -> None:
        """Send FIN, and go on reading. A close would send RST instead while data is unread."""
        with suppress(OSError):  # the server has closed before
            self.socket.shutdown(socket.SHUT_WR)


async def turns(count: int) -> None:
    """Let the server, which shares this loop, run for some turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)
