"""Open one stream on a plain socket, and measure the time of each step of connecting."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from rtdemo.lab import server_clock
from rtdemo.lab.bench.arrivals import ConnectionArrivals
from rtdemo.lab.bench.stream_reader import StreamReader, new_reader
from rtdemo.protocol.client import Transport

MAX_HEAD_BYTES = 32 * 1024
"""Longest head of a response that is read."""
_EXPECTED_STATUS: dict[Transport, bytes] = {"websocket": b"101", "sse": b"200"}
_REQUEST_HEADERS: dict[Transport, str] = {
    "websocket": "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
    "sse": "Accept: text/event-stream\r\nAccept-Encoding: identity\r\nCache-Control: no-cache\r\n",
}


class Endpoint(msgspec.Struct, frozen=True):
    """What all connections of a worker have in common.

    Arguments:
        transport: of the stream.
        host: name for TLS.
        at: address family and socket address.
        request: head of the GET request, without its key and its end.
        tls: None for a connection without TLS.
    """

    transport: Transport
    host: str
    at: tuple[int, Any]
    request: str
    tls: ssl.SSLContext | None


async def resolve(
    url: str,
    transport: Transport,
    headers: Mapping[str, str] | None = None,
    user_agent: str = "rtdemo-bench",
) -> Endpoint:
    """Resolve a URL once for all connections; of several addresses, use the first that connects.

    Arguments:
        url: of the stream, with its query.
        transport: of the stream.
        headers: of the user, for each request.
        user_agent: name of the client in each request.

    Raises:
        OSError: if no address connects.
    """
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "wss")
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: {user_agent}\r\n"
        f"{_REQUEST_HEADERS[transport]}"
    )
    for name, value in (headers or {}).items():
        head += f"{name}: {value}\r\n"
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (family, _, _, _, at) in enumerate(found, 1):
        try:
            (await _connect_socket(family, at)).close()
        except OSError:
            if number == len(found):
                raise
        else:
            break
    tls = ssl.create_default_context() if secure else None
    return Endpoint(transport, host, (family, at), head, tls)


async def _connect_socket(family: int, at: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, at)
    except BaseException:
        sock.close()
        raise
    return sock


async def connect(endpoint: Endpoint, arrivals: ConnectionArrivals) -> Connection:
    """Open a connection and wait for the head of the response.

    Arguments:
        endpoint: where to connect.
        arrivals: records the messages of this connection.

    Raises:
        OSError: if it does not open.
    """
    began = server_clock.now()
    sock = await _connect_socket(*endpoint.at)
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
    connection.send_request(endpoint.request)
    await connection.opened
    return connection


class Connection(asyncio.Protocol):
    """Receive one stream and record its messages.

    Arguments:
        transport: of the stream.
        arrivals: records the messages.

    Attributes:
        opened: done when the head of the response has arrived.
        welcomed: done when the first message has arrived.
        steps: milliseconds by step of connecting: tcp, tls, answer, welcome.
        bytes: received after the head, without TLS.
        end_reason: why it ended; empty if this side closed it; None while it is open.
    """

    def __init__(self, transport: Transport, arrivals: ConnectionArrivals) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.steps: dict[str, float] = {}
        self.bytes = 0
        self.arrivals = arrivals
        self.end_reason: str | None = None
        self._kind: Transport = transport
        self._head = b""
        self._reader: StreamReader | None = None
        self._step_began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket's transport."""
        # uvloop's transport has the methods, but not the base class.
        self._transport = cast("asyncio.Transport", transport)

    def send_request(self, request: str) -> None:
        """Send the GET request.

        Arguments:
            request: its head, without its key and its end.
        """
        self._step_began = server_clock.now()
        key = b64encode(os.urandom(16)).decode()
        self._transport.write(f"{request}Sec-WebSocket-Key: {key}\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Record the messages that end in these bytes, with their arrival."""
        at = server_clock.now()
        if self._reader is None:
            data = self._read_head(data, at)
            if not data or self._reader is None:
                return
        self.bytes += len(data)
        try:
            payloads = self._reader.feed(data)
        except ValueError as error:
            self._end(str(error))
            return
        for payload in payloads:
            self.arrivals.record(payload, at)
        if payloads and not self.welcomed.done():
            self.steps["welcome"] = at - self._step_began
            self.welcomed.set_result(None)

    def _read_head(self, data: bytes, at: float) -> bytes:
        """Read the response's head; return the bytes after it, or nothing while it is incomplete."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            if len(head) > MAX_HEAD_BYTES:
                self._end(f"sent response headers of over {MAX_HEAD_BYTES >> 10} KiB")
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
        self.steps["answer"], self._step_began = at - self._step_began, at
        chunked = fields.get(b"transfer-encoding", b"").lower() == b"chunked"
        self._reader = new_reader(self._kind, chunked, self._transport.write)
        self.opened.set_result(None)
        return rest

    def _problem(self, first: bytes, fields: dict[bytes, bytes]) -> str | None:
        """Return why a response is not a stream that can be measured; None if it is."""
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            return "does not speak HTTP/1.1"
        if rest[:3] != _EXPECTED_STATUS[self._kind]:
            return f"answered {rest.decode('latin-1')[:100]!r}"
        if self._kind == "sse" and not fields.get(b"content-type", b"").startswith(b"text/event-stream"):
            return "does not send an event stream"
        if encoding := fields.get(b"content-encoding"):
            name = encoding.decode("latin-1")[:20]
            return f"compresses with {name}, although the request does not accept it"
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Record why the connection ended."""
        self._end(f"was cut ({exc})" if exc else "was closed by the server")

    def _end(self, why: str) -> None:
        if self.end_reason is None:
            self.end_reason = why
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(why))
        self.welcomed.cancel()
        self._transport.abort()

    def close(self) -> None:
        """Close the connection from this side."""
        self.end_reason = self.end_reason or ""
        self._transport.abort()
