"""Clients that come, speak and go, each in another way."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.client import HOST
from benchmarks.streams import CLOSE, GOING_AWAY, TEXT_FRAME, Framing, client_frame, request_bytes

PATHS: dict[Framing, str] = {"websocket": "/ws", "sse": "/api/sse"}
"""Where each transport is."""
VISIT_TIMEOUT_S = 60.0
"""Seconds for a visit, which takes milliseconds; many on a machine that has much else to do."""
_CLIENT_ID = re.compile(rb'"client":"([^"]+)"')
_END_OF_HEAD = b"\r\n\r\n"
_TEXT = b"a short text"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: close sends RST."""


class Visit:
    """One connection that stays for a moment.

    Arguments:
        port: of the server, on loopback.
        framing: the transport.
    """

    def __init__(self, port: int, framing: Framing) -> None:
        self.port = port
        self.framing = framing
        self._request = request_bytes(framing, f"{HOST}:{port}", PATHS[framing])
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def connect(self) -> None:
        """Open the TCP connection."""
        self._reader, self._writer = await asyncio.open_connection(HOST, self.port)

    async def speak(self) -> None:
        """Connect, send a text and read its echo."""
        await self.connect()
        self._writer.write(self._request)
        welcome = await self._reader.readuntil(b'"client":"') + await self._reader.readuntil(b'"')
        if self.framing == "websocket":
            self._writer.write(client_frame(TEXT_FRAME, _TEXT))
        else:
            found = _CLIENT_ID.search(welcome)
            assert found is not None
            await self._post(found[1])
        await self._reader.readuntil(b"Echo: " + _TEXT)

    async def _post(self, client: bytes) -> None:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        writer.write(
            b"POST /api/messages?client=%b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (client, HOST.encode(), len(_TEXT), _TEXT)
        )
        await reader.read()
        writer.close()

    async def leave_cleanly(self) -> None:
        """Speak, and close as a browser does."""
        await self.speak()
        if self.framing == "websocket":
            self._writer.write(client_frame(CLOSE, GOING_AWAY))
            await self._reader.read()
        self._writer.close()

    async def leave_by_reset(self) -> None:
        """Speak, and send RST."""
        await self.speak()
        self._reset()

    async def leave_in_the_handshake(self) -> None:
        """Send half of the request, and close."""
        await self.connect()
        self._writer.write(self._request[: len(self._request) // 2])
        self._writer.close()

    async def leave_before_the_answer(self) -> None:
        """Send the request, and RST without reading."""
        await self.connect()
        self._writer.write(self._request)
        self._reset()

    def _reset(self) -> None:
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()


WAYS: tuple[Callable[[Visit], Awaitable[None]], ...] = (
    Visit.leave_cleanly,
    Visit.leave_by_reset,
    Visit.leave_in_the_handshake,
    Visit.leave_before_the_answer,
)
"""How visitors leave, in turn."""


@dataclass(frozen=True)
class Visits:
    """Visitors that came and went.

    Attributes:
        served: those to which everything was sent that they waited for.
        failed: the others.
    """

    served: int
    failed: int


async def visit_for(seconds: float, port: int, rate: float) -> Visits:
    """Let visitors come at a rate, alternately over both transports, and wait until all have left.

    Arguments:
        seconds: for which they come.
        port: of the server.
        rate: visitors per second.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    framings: tuple[Framing, ...] = ("websocket", "sse")
    visits = []
    async with asyncio.TaskGroup() as group:
        for number in range(round(seconds * rate)):
            await asyncio.sleep(began + number / rate - loop.time())
            way = WAYS[number // len(framings) % len(WAYS)]
            visit = Visit(port, framings[number % len(framings)])
            visits.append(group.create_task(_is_served(visit, way)))
    served = sum(visit.result() for visit in visits)
    return Visits(served, len(visits) - served)


async def _is_served(visit: Visit, way: Callable[[Visit], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(VISIT_TIMEOUT_S):
            await way(visit)
    except (OSError, EOFError, TimeoutError):
        return False
    return True
