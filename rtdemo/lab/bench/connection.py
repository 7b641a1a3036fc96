"""Open one stream on a bare socket, with the time that each step of it took."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from base64 import b64encode
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from rtdemo.lab import server_clock
from rtdemo.lab.bench.arrivals import ConnectionArrivals
from rtdemo.lab.bench.stream_reader import StreamReader, reader
from rtdemo.protocol.client import Transport

MAX_HEAD_BYTES = 32 * 1024
_EXPECTED_STATUS: dict[Transport, bytes] = {"websocket": b"101", "sse": b"200"}
_REQUEST_HEADERS: dict[Transport, str] = {
    "websocket": "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
    "sse": "Accept: text/event-stream\r\nAccept-Encoding: identity\r\nCache-Control: no-cache\r\n",
}


class Endpoint(msgspec.Struct, frozen=True):
    """Hold what every connection of a process has in common.

    Arguments:
        transport: spoken.
        host: for TLS and for people.
        at: address family and socket address.
        request: the head of the GET, without its key and its end.
        tls: None where none is spoken.
    """

    transport: Transport
    host: str
    at: tuple[int, Any]
    request: str
    tls: ssl.SSLContext | None


async def resolve(url: str, transport: Transport) -> Endpoint:
    """Resolve a URL, once for all connections; of several addresses the first that answers counts.

    Raises:
        OSError: where there is none.
    """
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "wss")
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: rtdemo-bench\r\n"
        f"{_REQUEST_HEADERS[transport]}"
    )
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (family, _, _, _, at) in enumerate(found, 1):
        try:
            (await _connect(family, at)).close()
        except OSError:
            if number == len(found):
                raise
        else:
            break
    return Endpoint(
        transport, host, (family, at), head, ssl.create_default_context() if secure else None
    )


async def _connect(family: int, at: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, at)
    except BaseException:
        sock.close()
        raise
    return sock


class Connection(asyncio.Protocol):
    """Read one stream into an inbox.

    Attributes:
        opened: done once the answer's head is there.
        welcomed: done once the first message is.
        steps: milliseconds of connecting, by step: tcp, tls, answer, welcome.
        bytes: received since the head, before TLS.
        ended: why it ended; None while it is open.
    """

    def __init__(self, transport: Transport, arrivals: ConnectionArrivals) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.steps: dict[str, float] = {}
        self.bytes = 0
        self.arrivals = arrivals
        self.ended: str | None = None
        self._kind: Transport = transport
        self._head = b""
        self._reader: StreamReader | None = None
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the server."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only

    def ask(self, request: str) -> None:
        """Send the GET."""
        self._since = server_clock.now()
        key = b64encode(os.urandom(16)).decode()
        self._transport.write(f"{request}Sec-WebSocket-Key: {key}\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Take what came, and the instant."""
        at = server_clock.now()
        if self._reader is None:
            data = self._take_head(data, at)
            if not data or self._reader is None:
                return
        self.bytes += len(data)
        try:
            payloads = self._reader.feed(data)
        except ValueError as error:
            self._end(str(error))
            return
        for payload in payloads:
            self.arrivals.take(payload, at)
        if payloads and not self.welcomed.done():
            self.steps["welcome"] = at - self._since
            self.welcomed.set_result(None)

    def _take_head(self, data: bytes, at: float) -> bytes:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            if len(head) > MAX_HEAD_BYTES:
                self._end("answered with an endless head")
            return b""
        first, *lines = head.split(b"\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in lines)
        }
        if problem := self._problem(first, fields):
            self._end(problem)
            return b""
        self._head = b""
        self.steps["answer"], self._since = at - self._since, at
        chunked = fields.get(b"transfer-encoding", b"").lower() == b"chunked"
        self._reader = reader(self._kind, chunked, self._transport.write)
        self.opened.set_result(None)
        return rest

    def _problem(self, first: bytes, fields: dict[bytes, bytes]) -> str | None:
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            return "does not speak HTTP/1.1"
        if rest[:3] != _EXPECTED_STATUS[self._kind]:
            return f"answered {rest.decode('latin-1')[:100]!r}"
        if self._kind == "sse" and not fields.get(b"content-type", b"").startswith(b"text/event-stream"):
            return "sends no event stream"
        if encoding := fields.get(b"content-encoding"):
            return f"compresses with {encoding.decode('latin-1')[:20]}, which was not asked for"
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._end(f"was cut ({exc})" if exc else "was closed by the server")

    def _end(self, why: str) -> None:
        if self.ended is None:
            self.ended = why
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(why))
        self.welcomed.cancel()
        self._transport.abort()

    def close(self) -> None:
        """End it from here."""
        self.ended = self.ended or ""
        self._transport.abort()


async def connect(endpoint: Endpoint, arrivals: ConnectionArrivals) -> Connection:
    """Open a connection and wait for the answer's head.

    Raises:
        OSError: where it does not open.
    """
    began = server_clock.now()
    sock = await _connect(*endpoint.at)
    connected = server_clock.now()
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(endpoint.transport, arrivals),
        sock=sock,
        ssl=endpoint.tls,
        server_hostname=endpoint.host if endpoint.tls else None,
    )
    connection.steps["tcp"] = connected - began
    if endpoint.tls is not None:
        connection.steps["tls"] = server_clock.now() - connected
    connection.ask(endpoint.request)
    await connection.opened
    return connection
