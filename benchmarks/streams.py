"""Receive on many connections as cheaply as Python allows: count, and parse only what must be.

Messages are counted by the token `"sentAt":`, which every message has once, also where a read splits it.
"""

import asyncio
import re
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

Framing = Literal["websocket", "sse", "socket.io"]

TOKEN = b'"sentAt":'
SENT_AT = re.compile(rb'"sentAt": ?([0-9.]+)[,}]')
ENDS = b"}]\n"
"""Last bytes of a frame and of an event: none is part of the token."""
SAMPLE_EVERY = 11
"""Of so many reads, the latency of one is taken; a prime, so that no connection is taken more often."""
MAX_HEAD = 16 * 1024
MAX_FRAME = 128 * 1024

TEXT_FRAME, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A  # RFC 6455 section 5.2: FIN and opcode
MASK_BIT = 0x80
ZERO_KEY = b"\0\0\0\0"  # a masking key that leaves the payload as it is
GOING_AWAY = (1001).to_bytes(2, "big")
MAX_SHORT_FRAME = 2 + 125
"""Bytes of the longest frame with its payload's length in the second byte."""
IO_OPEN, IO_PING, IO_PONG, IO_CONNECT, IO_EVENT = b"0", b"2", b"3", b"40", b"42"
"""First bytes of packets: the type of Engine.IO, and of Socket.IO within a message (4)."""
KEY = "cnRkZW1vIGJlbmNobWFyaw=="


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame with a payload of up to 125 bytes."""
    return bytes((opcode, MASK_BIT | len(payload))) + ZERO_KEY + payload


@dataclass(slots=True)
class Tally:
    """What all connections together received so far.

    Attributes:
        delivered: messages.
        received_bytes: of messages, with their framing.
        lost: connections that ended.
        leaving: number of connections that are to end.
        all_left: set once they have.
        until_sample: reads until a latency is taken; -1 for never.
        latencies: milliseconds from `sentAt`, or of each echo.
    """

    delivered: int = 0
    received_bytes: int = 0
    lost: int = 0
    leaving: int = 0
    all_left: asyncio.Event = field(default_factory=asyncio.Event)
    until_sample: int = SAMPLE_EVERY
    latencies: "array[float]" = field(default_factory=lambda: array("d"))

    def sample(self, data: bytes) -> None:
        """Take the latency of the first message of a read."""
        now = time.time() * 1000
        self.until_sample = SAMPLE_EVERY
        if found := SENT_AT.search(data):
            self.latencies.append(now - float(found[1]))


def request_bytes(framing: Framing, host: str, path: str) -> bytes:
    """Return the GET that opens a connection.

    Arguments:
        framing: what follows; anything but SSE asks for the upgrade to WebSocket.
        host: address and port of the server.
        path: with its query.
    """
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n"
    if framing == "sse":
        return f"{head}Accept: text/event-stream\r\n\r\n".encode()
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    return f"{head}{upgrade}Sec-WebSocket-Key: {KEY}\r\n\r\n".encode()


class Stream(asyncio.Protocol):
    """Counts the messages of one open connection into the tally."""

    __slots__ = ("_tail", "_tally", "_transport")

    def __init__(self, tally: Tally, transport: asyncio.Transport) -> None:
        self._tally = tally
        self._transport = transport
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        """Count the messages of one read."""
        tally, tail = self._tally, self._tail
        tally.delivered += data.count(TOKEN)
        if tail:  # a token may have begun there
            tally.delivered += (tail + data[: len(TOKEN) - 1]).count(TOKEN)
        tally.received_bytes += len(data)
        tally.until_sample -= 1
        if not tally.until_sample:
            tally.sample(data)
        self._tail = b"" if data[-1] in ENDS else (tail + data)[1 - len(TOKEN) :]

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the loss."""
        self._tally.lost += 1
        if self._tally.lost == self._tally.leaving:
            self._tally.all_left.set()

    def report_open(self, opened: "asyncio.Future[Stream]") -> None:
        """Set the result of a future to this stream once messages may come: at once."""
        opened.set_result(self)

    def leave(self) -> None:
        """Close as a client that leaves."""
        self._transport.close()


class WebSocketStream(Stream):
    """Answers pings and a closing frame besides."""

    __slots__ = ("_partial",)

    def __init__(self, tally: Tally, transport: asyncio.Transport) -> None:
        super().__init__(tally, transport)
        self._partial = b""

    def data_received(self, data: bytes) -> None:
        """Count; walk the frames only where the read is anything but one short text frame."""
        super().data_received(data)
        length = len(data)
        is_short_text = (
            2 <= length <= MAX_SHORT_FRAME and data[0] == TEXT_FRAME and data[1] + 2 == length
        )
        if self._partial or not is_short_text:
            self._walk(self._partial + data)

    def _walk(self, data: bytes) -> None:
        at = 0
        while (payload := frame_payload(data, at)) is not None:
            self.frame_received(data[at], data[payload])
            at = payload.stop
        self._partial = data[at:]
        if len(self._partial) > MAX_FRAME:
            self._transport.abort()

    def frame_received(self, opcode: int, payload: bytes) -> None:
        """Answer what a server may expect an answer to."""
        if opcode == PING:
            self._transport.write(client_frame(PONG, payload))
        elif opcode == CLOSE:
            self._transport.close()

    def leave(self) -> None:
        """Send the closing frame of a tab that closes, and let the server end the connection."""
        self._transport.write(client_frame(CLOSE, GOING_AWAY))


class SocketIoStream(WebSocketStream):
    """Speaks Socket.IO: joins its default namespace and answers its pings.

    Source: the protocols of Engine.IO (version 4) and Socket.IO (version 5).
    """

    __slots__ = ("_opened",)

    def __init__(self, tally: Tally, transport: asyncio.Transport) -> None:
        super().__init__(tally, transport)
        self._opened: asyncio.Future[Stream] | None = None

    def report_open(self, opened: "asyncio.Future[Stream]") -> None:
        """Set the result of a future to this stream once it has joined the namespace."""
        self._opened = opened

    def data_received(self, data: bytes) -> None:
        """Count; walk the frames only where the read is anything but one short event."""
        Stream.data_received(self, data)
        length = len(data)
        is_short_event = length <= MAX_SHORT_FRAME and data[2:4] == IO_EVENT and data[1] + 2 == length
        if self._partial or not is_short_event:
            self._walk(self._partial + data)

    def frame_received(self, opcode: int, payload: bytes) -> None:
        """Answer what a server of Socket.IO expects an answer to."""
        if opcode != TEXT_FRAME:
            super().frame_received(opcode, payload)
        elif payload.startswith(IO_OPEN):
            self._transport.write(client_frame(TEXT_FRAME, IO_CONNECT))
        elif payload.startswith(IO_CONNECT):
            if self._opened and not self._opened.done():
                self._opened.set_result(self)
        elif payload == IO_PING:
            self._transport.write(client_frame(TEXT_FRAME, IO_PONG))

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the loss, and fail an opening that waits."""
        super().connection_lost(exc)
        if self._opened and not self._opened.done():
            self._opened.set_exception(
                ConnectionError("the server closed before a namespace was joined")
            )


STREAMS: dict[Framing, type[Stream]] = {
    "websocket": WebSocketStream,
    "sse": Stream,
    "socket.io": SocketIoStream,
}


class EchoStream(WebSocketStream):
    """Sends a text, waits for its echo, and sends the next."""

    FRAME = client_frame(TEXT_FRAME, b"a short text")

    def __init__(self, tally: Tally, transport: asyncio.Transport) -> None:
        super().__init__(tally, transport)
        self._asked_at = 0.0
        tally.until_sample = -1

    def ask(self) -> None:
        """Send the text."""
        self._asked_at = time.perf_counter()
        self._transport.write(self.FRAME)

    def data_received(self, data: bytes) -> None:
        """Take an echo's time and ask again."""
        before = self._tally.delivered
        super().data_received(data)
        if self._asked_at and self._tally.delivered > before:
            self._tally.latencies.append((time.perf_counter() - self._asked_at) * 1000)
            self.ask()


class SocketIoEchoStream(EchoStream, SocketIoStream):
    """Sends the text as an event of Socket.IO."""

    FRAME = client_frame(TEXT_FRAME, IO_EVENT + b'["message","a short text"]')


ECHO_STREAMS: dict[Framing, type[EchoStream]] = {
    "websocket": EchoStream,
    "socket.io": SocketIoEchoStream,
}


def frame_payload(data: bytes, at: int) -> slice | None:
    """Return where the payload of an unmasked frame is; None while the frame is incomplete.

    Arguments:
        data: bytes of the stream.
        at: offset of the frame's first byte.
    """
    if len(data) < at + 2:
        return None
    start, length = at + 2, data[at + 1] & ~MASK_BIT
    if length >= 126:  # RFC 6455 section 5.2: 126 announces 2 bytes of length, 127 announces 8
        start += 2 if length == 126 else 8
        if len(data) < start:
            return None
        length = int.from_bytes(data[at + 2 : start], "big")
    return slice(start, start + length) if len(data) >= start + length else None


class Opening(asyncio.Protocol):
    """Sends the request, reads the answer's head, and hands the connection to its stream."""

    def __init__(
        self,
        request: bytes,
        status: bytes,
        stream: Callable[[asyncio.Transport], Stream],
    ) -> None:
        """Prepare one connection.

        Arguments:
            request: the GET.
            status: first bytes of the answer that is expected.
            stream: makes what receives after the head.
        """
        self._request = request
        self._status = status
        self._stream = stream
        self._head = b""
        self.opened: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read the head; what follows it belongs to the stream."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end and len(head) < MAX_HEAD:
            return
        if not head.startswith(self._status):
            self._fail(head.partition(b"\r\n")[0].decode("latin-1"))
            return
        stream = self._stream(self._transport)
        self._transport.set_protocol(stream)
        stream.report_open(self.opened)
        if rest:
            stream.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the opening where the server closed before its answer."""
        self._fail("closed before an answer")

    def _fail(self, answer: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"the server refused a connection: {answer}"))
        self._transport.abort()
