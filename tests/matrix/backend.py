"""A server whose answers have exactly the heads of rtdemo's, and whose streams do what a query asks.

It runs beside the client of `truth`, so both read one clock, and the client sees each request as it
arrived. It has no code of rtdemo: heads are recorded from a running rtdemo, byte by byte.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from tests.matrix.tcp_server import TcpServer

MAX_HEAD_BYTES = 65_536
SUBPROTOCOL = Subprotocol("rtdemo.probe")
RECORDED = ("/api/sse", "/api/time", "/")
"""Paths whose heads are recorded."""


@dataclass
class Arrived:
    """A request as it arrived.

    Arguments:
        method: its method.
        target: its target.
        version: its HTTP version, such as `1.1`.
        headers: names in lower case, and values.
    """

    method: str
    target: str
    version: str
    headers: dict[str, str]

    @property
    def query(self) -> dict[str, str]:
        """The first value of each parameter."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass
class Heads:
    """Heads of rtdemo's answers, by path and HTTP version.

    Arguments:
        texts: from the status line to the empty line.
    """

    texts: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @classmethod
    async def record(cls, port: int) -> Heads:
        """Record the heads of an rtdemo that listens on loopback."""
        heads = cls()
        for path in RECORDED:
            for version in ("1.0", "1.1"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                request = f"GET {path} HTTP/{version}\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n"
                writer.write(request.encode())
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                writer.transport.abort()
                assert b" 200 " in head.partition(b"\r\n")[0], head
                heads.texts[path, version] = re.sub(rb"(?i)\r\ncontent-length: \d+", b"", head)
        return heads

    def of(self, path: str, version: str, length: int | None = None) -> bytes:
        """Return the head for an answer, with the length of its body unless it is a stream."""
        head = self.texts[path, version]
        return head if length is None else _with(head, f"Content-Length: {length}")


def _with(head: bytes, line: str) -> bytes:
    return head[:-2] + line.encode() + b"\r\n\r\n"


class Backend(TcpServer):
    """One server on a port of loopback.

    Arguments:
        name: its answers have it: several servers can be told apart.
        heads: of rtdemo's answers.
        base: path below which it serves, such as `/rt`; it serves without it too.

    Attributes:
        arrived: the last request with each `mark` in its query.
    """

    def __init__(self, name: str, heads: Heads, base: str = "") -> None:
        super().__init__(self._serve_requests)
        self.name = name
        self.arrived: dict[str, Arrived] = {}
        self._heads = heads
        self._base = base
        self._number = 0

    async def _serve_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, EOFError, ValueError, WebSocketException):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays open for another one."""
        head = await reader.readuntil(b"\r\n\r\n")
        request = _parse(head)
        length = int(request.headers.get("content-length", "0"))
        body = await reader.readexactly(length) if length else b""
        if "mark" in request.query:
            self.arrived[request.query["mark"]] = request
        path = urlsplit(request.target).path.removeprefix(self._base)
        if path == "/ws":
            await self._socket(request, head, reader, writer)
            return False
        if path == "/api/sse" and request.method == "GET":
            writer.write(self._heads.of("/api/sse", request.version))
            await self._stream(request, reader, writer)
            return False
        status, text = self._plain(request, path, body)
        known = path if (path, request.version) in self._heads.texts else "/api/time"
        answer = self._heads.of(known, request.version, len(text))
        answer = answer.replace(b" 200 OK", f" {status}".encode(), 1)
        writer.write(answer + (b"" if request.method == "HEAD" else text))
        await writer.drain()
        return request.version == "1.1" and request.headers.get("connection", "").lower() != "close"

    def _plain(self, request: Arrived, path: str, body: bytes) -> tuple[str, bytes]:
        self._number += 1
        if path == "/api/messages" and request.method == "POST":
            client = request.query.get("client", "")
            if not client.startswith(self.name):
                return "404 Not Found", b"no event stream with this id is open"
            return "202 Accepted", json.dumps({"received": len(body)}).encode()
        if path in ("/api/time", "/", "/healthz"):
            return "200 OK", json.dumps({"now": _now(), "number": self._number}).encode()
        return "404 Not Found", b"not found"

    async def _stream(
        self, request: Arrived, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        is_chunked = request.version == "1.1"
        self._number += 1
        client = f"{self.name}-{self._number}"

        def event(size: int, **more: object) -> None:
            fields = {"sentAt": _now(), "client": client, **more}
            text = json.dumps({**fields, "filling": _filling(size - 110)})
            data = f"data: {text}\n\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(data), data) if is_chunked else data)

        event(int(request.query.get("first", "0")), n=0)
        steps = [step.split("@") for step in request.query.get("script", "").split(",") if step]
        gone = asyncio.ensure_future(reader.read(1))
        try:
            for number, (size, pause) in enumerate(steps, 1):
                await writer.drain()
                done, _ = await asyncio.wait([gone], timeout=float(pause))
                if done:
                    return
                if size != "end":
                    event(int(size), n=number)
            if is_chunked:
                writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            gone.cancel()

    async def _socket(
        self, request: Arrived, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Accept the WebSocket, echo its texts, and send texts of its own where the query asks."""
        if request.version != "1.1":
            writer.write(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return
        protocol = ServerProtocol(select_subprotocol=_subprotocol)
        protocol.receive_data(head)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
        every = float(request.query.get("every", "0"))
        sending = asyncio.ensure_future(self._send_texts(protocol, writer, every))
        try:
            writer.writelines(protocol.data_to_send())
            while protocol.state is State.OPEN and (data := await reader.read(65_536)):
                protocol.receive_data(data)
                for event in protocol.events_received():
                    if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                        protocol.send_text(event.data, event.fin)
                    elif isinstance(event, Frame) and event.opcode is Opcode.CONT:
                        protocol.send_continuation(event.data, event.fin)
                writer.writelines(protocol.data_to_send())
                await writer.drain()
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

    @staticmethod
    async def _send_texts(protocol: ServerProtocol, writer: asyncio.StreamWriter, every: float) -> None:
        while every and not writer.is_closing():
            await asyncio.sleep(every)
            if protocol.state is State.OPEN:
                protocol.send_text(json.dumps({"sentAt": _now()}).encode())
                writer.writelines(protocol.data_to_send())


def _subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def _filling(size: int) -> str:
    """Return text that can be compressed to half its size, as much of what people send."""
    return random.randbytes(max(0, size) // 2).hex()


def _now() -> float:
    return time.time() * 1000


def _parse(head: bytes) -> Arrived:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return Arrived(method, target, version.removeprefix("HTTP/"), headers)
