"""Send one request, byte for byte, and read what comes back.

No HTTP client is used: the requests of this suite have faults that a client does not send, and the
responses are read strictly.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from rtdemo.errors import network_reason
from rtdemo.lab.http_response import Response, ResponseReader
from rtdemo.protocol.event_stream import EventParser

CONNECT_TIMEOUT_S = 10.0
READ_BYTES = 64 * 1024
MAX_STREAM_BYTES = 16 * 1024 * 1024
"""Bytes that are read of the long stream."""
MAX_EXCHANGE_BYTES = 4 * 1024 * 1024
"""Bytes that are read of each other connection."""
HEAD_TIMEOUT_S = 5.0
"""Seconds for the head of a response, except that of the long stream."""
REST_TIMEOUT_S = 2.0
"""Seconds for the rest of a response that is no stream, such as a page for an error."""
CLOSE_TIMEOUT_S = 1.0
"""Seconds for a connection to close after its last use."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: close with RST."""
Until = Literal["head", "event", "time", "close", "encoded", "interim", "responses"]


@dataclass(frozen=True)
class Target:
    """The stream that is tested, and the request that opens it.

    Arguments:
        url: of the stream.
        method: of the request.
        content: of the request; empty for none.
        headers: of the user.
        tls: for `https`; None for `http`.
    """

    url: str
    method: str = "GET"
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None

    @property
    def host(self) -> str:
        """Name or address, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port."""
        return urlsplit(self.url).port or (443 if self.tls else 80)

    @property
    def authority(self) -> str:
        """Host and port as in the URL."""
        return urlsplit(self.url).netloc

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def at(self, url: str) -> Target:
        """Return the same request for another URL."""
        return replace(self, url=url)


@dataclass(frozen=True)
class Request:
    """How one request differs from the normal one.

    Arguments:
        sent: the difference in words, as they follow the method; with a method, the whole request.
        method: None for that of the target.
        version: of HTTP.
        replaced: header values in the place of the normal ones; None leaves the header out.
        lines: further header lines, without their ends, sent as ISO-8859-1.
        query: added to the query of the URL.
        is_absolute: whether the request line has the whole URL.
        before: bytes before the request line.
        rewrite: changes the finished bytes of the head.
        until: when reading ends: with the head, after one event, after `body_s`, or with the connection;
            "encoded" is after `body_s` if the body is compressed, and else with the head.
        body_s: seconds to read after the head, at most.
        has_content: whether the target's content is sent; None if the method is the target's.
        ends_with_reset: whether the client leaves with RST instead of FIN.
        count: how often the request is sent, in one segment.
    """

    sent: str
    method: str | None = None
    version: str = "1.1"
    replaced: Mapping[str, str | None] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    query: str = ""
    is_absolute: bool = False
    before: bytes = b""
    rewrite: Callable[[bytes], bytes] | None = None
    until: Until = "head"
    body_s: float = 5.0
    has_content: bool | None = None
    ends_with_reset: bool = False
    count: int = 1

    def encode(self, target: Target) -> bytes:
        """Return the bytes of the request to a target."""
        method = self.method or target.method
        has_content = self.has_content if self.has_content is not None else self.method is None
        content = target.content if has_content else b""
        given = {
            "Host": target.authority,
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",
            **({"Content-Length": str(len(content))} if content else {}),
        }
        own = {name.lower(): name for name in given}
        for name, value in target.headers.items():
            given[own.get(name.lower(), name)] = value
        named: dict[str, str | None] = {**given, **self.replaced}
        head_lines = [f"{name}: {value}" for name, value in named.items() if value is not None]
        head = "\r\n".join([self._request_line(method, target), *head_lines, *self.lines, "", ""])
        data = head.encode("latin-1")
        if self.rewrite is not None:
            data = self.rewrite(data)
        return (self.before + data + content) * self.count

    def _request_line(self, method: str, target: Target) -> str:
        path = target.path
        if self.query:
            path += ("&" if "?" in path else "?") + self.query
        if self.is_absolute:
            path = f"{'https' if target.tls else 'http'}://{target.authority}{path}"
        return f"{method} {path} HTTP/{self.version}"


@dataclass
class Exchange:
    """What came back for one request, or for several on one connection.

    Attributes:
        sent: the request in words.
        responses: in order.
        excess: bytes after the last response.
        error: why the connection failed; empty if it did not.
        closed_at: seconds after the request at which the server closed; None if it did not.
        seconds: duration of the reading.
        skipped: why it was not made; empty if it was.
    """

    sent: str
    responses: list[Response] = field(default_factory=list)
    excess: bytes = b""
    error: str = ""
    closed_at: float | None = None
    seconds: float = 0.0
    skipped: str = ""

    @property
    def response(self) -> Response:
        """The first response; one with status 0 if there is none."""
        return self.responses[0] if self.responses else Response()

    @property
    def outcome(self) -> str:
        """What came back, in a few words."""
        response = self.response
        if response.status:
            kind = f", {response.media_type}" if response.media_type else ""
            return f"{response.status}{kind}"
        if response.broken:
            return f"an answer that is not HTTP/1.1: {response.broken}"
        if response.interim:
            return f"{response.interim[-1]}, and then no final response"
        if self.error:
            return f"no answer: {self.error}"
        if self.closed_at is not None:
            return "no answer: the server closed the connection"
        return f"no answer within {self.seconds:.0f} s"


class Connection:
    """One connection to a target.

    Arguments:
        target: the server.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._reader = asyncio.StreamReader()
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            OSError: if that fails; TimeoutError is one.
        """
        target = self._target
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            self._reader, self._writer = await asyncio.open_connection(
                target.host, target.port, ssl=target.tls, limit=READ_BYTES
            )

    def write(self, data: bytes) -> None:
        """Send bytes on an open connection."""
        if self._writer is not None:
            self._writer.write(data)

    async def read(self) -> bytes:
        """Return what has arrived; nothing if the server has closed.

        Raises:
            OSError: if the connection was reset.
        """
        return await self._reader.read(READ_BYTES)

    def close(self, with_reset: bool = False) -> None:
        """Leave."""
        if self._writer is None:
            return
        if with_reset and self._target.tls is None:
            sock = self._writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if with_reset or self._target.tls is not None:
            # TLS would wait for the server's part of the close.
            self._writer.transport.abort()
        else:
            self._writer.close()


class Reading:
    """Read the responses on one connection until a condition holds.

    Arguments:
        sent: the request in words.
        methods: of the requests.
        max_bytes: what is read at most.

    Attributes:
        exchange: what came back so far.
        has_event: whether an event of the first response has come.
    """

    def __init__(self, sent: str, methods: Sequence[str], max_bytes: int = MAX_EXCHANGE_BYTES) -> None:
        self.exchange = Exchange(sent)
        self._max_bytes = max_bytes
        self._reader = ResponseReader(methods)
        self.exchange.responses = self._reader.responses
        self._events = EventParser()
        self._pieces_seen = 0
        self._size = 0
        self._wanted = 1
        self._started: float | None = None
        self.has_event = False

    async def run(
        self,
        connection: Connection,
        until: Until,
        body_s: float,
        head_s: float = HEAD_TIMEOUT_S,
        wanted: int = 1,
    ) -> None:
        """Read; the exchange has what arrived, also if this is cancelled.

        Arguments:
            connection: an open one.
            until: when to stop, as in `Request`; "interim" is with a 1xx response or a final head, and
                "responses" is with the heads of `wanted` responses.
            body_s: seconds to read after the first head, at most.
            head_s: seconds for the first head.
            wanted: number of responses.
        """
        self._wanted = wanted
        loop = asyncio.get_running_loop()
        if self._started is None:
            self._started = loop.time()
        head_seen = self._has_final_head and until != "responses"
        try:
            async with asyncio.timeout(body_s if head_seen else head_s) as limit:
                while not self._is_done(until):
                    data = await connection.read()
                    at = loop.time() - self._started
                    if not data:
                        self._reader.feed_eof()
                        self.exchange.closed_at = at
                        return
                    self._size += len(data)
                    self._reader.feed(data, at)
                    if not head_seen and self._has_final_head:
                        head_seen = True
                        limit.reschedule(loop.time() + self._rest_s(until, body_s))
        except TimeoutError:
            pass
        except OSError as error:
            self.exchange.error = network_reason(error)
        finally:
            self.exchange.seconds = loop.time() - self._started
            self.exchange.excess = self._reader.excess

    @property
    def _has_final_head(self) -> bool:
        responses = self._reader.responses
        return bool(responses) and responses[0].head_at is not None

    def _rest_s(self, until: Until, body_s: float) -> float:
        waits = self._reader.responses[0].is_endless or until in ("time", "close", "responses")
        return body_s if waits else min(body_s, REST_TIMEOUT_S)

    def _is_done(self, until: Until) -> bool:
        if self._size > self._max_bytes:
            return True
        if until == "close":
            return False
        if self._reader.is_done:
            return True
        responses = self._reader.responses
        if until == "responses":
            return sum(response.head_at is not None for response in responses) >= self._wanted
        if until == "interim" and responses and responses[0].interim:
            return True
        if until == "time" or not self._has_final_head:
            return False
        first = responses[0]
        if until == "interim":
            return True
        if not first.is_endless:
            return False
        if until == "encoded":
            return not first.values("Content-Encoding")
        return until == "head" or self._event_has_come(first)

    def _event_has_come(self, response: Response) -> bool:
        for piece in response.body[self._pieces_seen :]:
            self._pieces_seen += 1
            with suppress(ValueError):
                self.has_event |= bool(self._events.feed(piece.data))
        return self.has_event


async def exchange(target: Target, request: Request) -> Exchange:
    """Make one request on a connection of its own, and return what came back."""
    sent = request.sent if request.method else f"{target.method} {request.sent}"
    reading = Reading(sent, [request.method or target.method] * request.count)
    connection = Connection(target)
    try:
        await connection.open()
        connection.write(request.encode(target))
        await reading.run(connection, request.until, request.body_s)
    except OSError as error:
        reading.exchange.error = network_reason(error)
    finally:
        connection.close(request.ends_with_reset)
    return reading.exchange
