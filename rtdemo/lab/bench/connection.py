"""Open one stream on a plain socket, and measure the time of each step of connecting."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import msgspec

from rtdemo.errors import may_heal, printable
from rtdemo.lab import server_clock
from rtdemo.lab.bench.arrivals import ConnectionArrivals
from rtdemo.lab.bench.response_head import HeadError, HeadReader, ResponseHead
from rtdemo.lab.bench.stamped_socket import StampedSocket
from rtdemo.lab.bench.stream_reader import ENDED, StreamEnd, StreamReader, new_reader
from rtdemo.protocol.client import Transport

MAX_REASON_LENGTH = 150
"""Characters of the response that explain an error."""
REDIRECTS = "redirects to"
"""Beginning of a problem that another address solves."""
NEEDS_LOGIN = "answered 401"
"""Beginning of a problem that another login token solves (RFC 9110 section 15.5.2)."""
WEB_PAGE = "answered with text/html"
"""Beginning of the problem that a web page is no stream."""
_EXPECTED_STATUS: dict[Transport, bytes] = {"websocket": b"101", "sse": b"200"}
_HEADERS: dict[Transport, dict[str, str]] = {
    "websocket": {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
    "sse": {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-cache"},
}


class RefusedStreamError(ConnectionError):
    """Report an answer that is no stream, and that any further request would get, too."""


class Endpoint(msgspec.Struct, frozen=True):
    """What all connections of a worker have in common.

    Arguments:
        transport: of the stream.
        host: name for TLS.
        at: address family and socket address.
        request: first line and headers of the request, without a WebSocket's key and without the end.
        tls: None for a connection without TLS.
        body: of the request; empty for a GET request.
    """

    transport: Transport
    host: str
    at: tuple[int, Any]
    request: str
    tls: ssl.SSLContext | None
    body: bytes = b""

    def new_request(self) -> bytes:
        """Return the bytes of a new request."""
        key = ""
        if self.transport == "websocket":
            key = f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n"
        return f"{self.request}{key}\r\n".encode() + self.body


async def resolve(
    url: str,
    transport: Transport,
    headers: Mapping[str, str] | None = None,
    user_agent: str = "rtdemo-bench",
    body: bytes | None = None,
) -> Endpoint:
    """Resolve a URL once for all connections; of several addresses, use the first that connects.

    Arguments:
        url: of the stream, with its query.
        transport: of the stream.
        headers: of the user, for each request; they replace others of the same name.
        user_agent: name of the client in each request.
        body: of a POST request; None for a GET request.

    Raises:
        OSError: if no address connects.
    """
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "wss")
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    standard = {"Host": parts.netloc, "User-Agent": user_agent, **_HEADERS[transport]}
    if body is not None:
        standard |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = _request_head(parts, "GET" if body is None else "POST", standard, headers or {})
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
    return Endpoint(transport, host, (family, at), head, tls, body or b"")


def _request_head(
    parts: SplitResult, method: str, standard: Mapping[str, str], given: Mapping[str, str]
) -> str:
    """Return the first line and the headers; those of the user replace the others."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    names = {name.lower() for name in given}
    kept = {name: text for name, text in standard.items() if name.lower() not in names}
    lines = [f"{name}: {text}\r\n" for name, text in {**kept, **given}.items()]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}"


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
    connection = Connection(endpoint.transport, arrivals)
    if endpoint.tls is None:
        connection.use(StampedSocket(sock, connection))
    else:
        await asyncio.get_running_loop().create_connection(
            lambda: connection, sock=sock, ssl=endpoint.tls, server_hostname=endpoint.host
        )
    connection.steps["tcp"] = connected - began
    if endpoint.tls is not None:
        connection.steps["tls"] = server_clock.now() - connected
    connection.send_request(endpoint.new_request())
    try:
        await connection.opened
    except BaseException:
        connection.close()
        raise
    return connection


class Connection(asyncio.Protocol):
    """Receive one stream and record its messages.

    Arguments:
        transport: of the stream.
        arrivals: records the messages.

    Attributes:
        opened: done when the head of the response has arrived.
        welcomed: done when the first message has arrived.
        closed: done when the connection has ended.
        steps: milliseconds by step of connecting: tcp, tls, answer, welcome.
        end_reason: why it ended; empty if this side closed it; None while it is open.
        is_complete: whether the server ended the stream in the regular way, after at least one message.
    """

    def __init__(self, transport: Transport, arrivals: ConnectionArrivals) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.steps: dict[str, float] = {}
        self.arrivals = arrivals
        self.end_reason: str | None = None
        self.is_complete = False
        self._kind: Transport = transport
        self._head = HeadReader()
        self._reader: StreamReader | None = None
        self._ends_by_close = False
        self._step_began = 0.0

    def use(self, transport: StampedSocket | asyncio.Transport) -> None:
        """Keep the socket's transport."""
        self._transport = transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket's transport, with TLS."""
        # uvloop's transport has the methods, but not the base class.
        self.use(cast("asyncio.Transport", transport))

    def send_request(self, request: bytes) -> None:
        """Send the request."""
        self._step_began = server_clock.now()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Record the messages that end in these bytes, with TLS."""
        self.received(data, server_clock.now(), is_stamped=False)

    def received(self, data: bytes, at: float, is_stamped: bool) -> None:
        """Record the messages that end in these bytes.

        Arguments:
            data: the bytes.
            at: their arrival, milliseconds of `server_clock.now`.
            is_stamped: whether the kernel took that time.
        """
        if self._reader is None:
            data = self._read_head(data, at)
            if not data or self._reader is None:
                return
        self.arrivals.bytes += len(data)
        end = ""
        try:
            payloads = self._reader.feed(data)
        except StreamEnd as ended:
            payloads, end = ended.payloads, str(ended)
        except ValueError as error:
            self._end(f"sent {error}")
            return
        for payload in payloads:
            self.arrivals.record(payload, at)
        if is_stamped:
            self.arrivals.stamped += len(payloads)
        if payloads and not self.welcomed.done():
            self.steps["welcome"] = at - self._step_began
            self.welcomed.set_result(None)
        if end:
            self._end(end)

    def _read_head(self, data: bytes, at: float) -> bytes:
        """Read the response's head; return the bytes after it, or nothing while it is incomplete."""
        try:
            head = self._head.feed(data)
        except HeadError as error:
            self._end(str(error))
            return b""
        if head is None:
            return b""
        if problem := _problem(self._kind, head):
            status = head.status[:3]
            heals = status.isdigit() and may_heal(int(status))
            self._end(problem, ConnectionError if heals else RefusedStreamError)
            return b""
        if self.opened.done():  # cancelled: the head came after the time for opening
            return b""
        self.steps["answer"], self._step_began = at - self._step_began, at
        self._reader = new_reader(self._kind, head, self._transport.write)
        is_event_stream = self._kind == "sse"
        self._ends_by_close = is_event_stream and not head.is_chunked and head.length is None
        self.opened.set_result(None)
        if head.length == 0:
            self._end(ENDED)
        return head.rest

    def connection_lost(self, exc: Exception | None) -> None:
        """Record why the connection ended."""
        is_end = exc is None and self._ends_by_close
        self._end(ENDED if is_end else f"was cut ({exc})" if exc else "was closed by the server")

    def _end(self, why: str, error: type[ConnectionError] = ConnectionError) -> None:
        if self.end_reason is None:
            self.end_reason = why
            self.is_complete = why == ENDED and self.welcomed.done()
        if not self.opened.done():
            self.opened.set_exception(error(why))
        self.welcomed.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
        self._transport.abort()

    def close(self) -> None:
        """Close the connection from this side."""
        self.end_reason = self.end_reason or ""
        self._transport.abort()


def _problem(transport: Transport, head: ResponseHead) -> str | None:
    """Return why a response is not a stream that can be measured; None if it is.

    Arguments:
        transport: that was requested.
        head: of the response.
    """
    kind = head.media_type
    if head.status[:3] != _EXPECTED_STATUS[transport]:
        reason = "" if kind == b"text/html" else _text(head.rest)
        if head.status[:1] == b"3" and (location := head.fields.get(b"location")):
            return f"{REDIRECTS} {_text(location.partition(b'?')[0])}"
        return f"answered {_text(head.status)}" + (f": {reason}" if reason else "")
    if transport == "sse" and kind != b"text/event-stream":
        return f"answered with {_text(kind) or 'no content type'}, which is not an event stream"
    encoding = head.fields.get(b"content-encoding", b"").lower()
    if encoding not in (b"", b"identity"):
        return f"compresses with {_text(encoding)}, although the request does not accept it"
    return None


def _text(data: bytes) -> str:
    """Return the start of what a server sent, as one line that is safe on a terminal."""
    words = data[: 4 * MAX_REASON_LENGTH].decode(errors="replace").split()
    return printable(" ".join(words))[:MAX_REASON_LENGTH]
