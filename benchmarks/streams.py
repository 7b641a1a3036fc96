"""Receive on many connections as cheaply as Python allows: count, and parse only what must be.

Messages are counted by the token `"sentAt":`, which every message has once, wherever the network
cuts the stream.
"""

import asyncio
from dataclasses import dataclass
from typing import cast

from benchmarks.workload import Transport

MESSAGE_TOKEN = b'"sentAt":'
SHARED_TOKEN = b'"id":'  # only a shared message has a position in the log
MAX_HEAD = 16 * 1024
MAX_FRAME = 128 * 1024

TEXT_FRAME, PING, PONG = 0x81, 0x89, 0x8A  # RFC 6455 section 5.2: FIN and opcode
MASK_BIT = 0x80
ZERO_KEY = b"\0\0\0\0"  # a masking key that leaves the payload as it is


@dataclass
class Tally:
    """What all connections together received so far."""

    delivered: int = 0
    shared: int = 0
    received_bytes: int = 0
    lost: int = 0


def request_bytes(transport: Transport, port: int, path: str) -> bytes:
    """Return the GET that opens a stream.

    Arguments:
        transport: a WebSocket's asks for the upgrade.
        port: TCP port on 127.0.0.1.
        path: with its query, as it stands in the request line.
    """
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if transport == "sse":
        return f"{head}Accept: text/event-stream\r\n\r\n".encode()
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    return f"{head}{upgrade}Sec-WebSocket-Key: cnRkZW1vIGJlbmNobWFyaw==\r\n\r\n".encode()


def count_token(token: bytes, tail: bytes, data: bytes) -> int:
    """Count the tokens that end within `data`.

    Arguments:
        token: what to count.
        tail: the stream's last bytes before `data`, in which a token may have begun.
        data: what came now.
    """
    reach = len(token) - 1
    return data.count(token) + (tail[-reach:] + data[:reach]).count(token)


class Stream(asyncio.Protocol):
    """Counts the messages of one open connection into the tally."""

    def __init__(self, tally: Tally, transport: asyncio.Transport) -> None:
        self._tally = tally
        self._transport = transport
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        """Count the messages in one chunk."""
        tally, tail = self._tally, self._tail
        tally.delivered += count_token(MESSAGE_TOKEN, tail, data)
        tally.shared += count_token(SHARED_TOKEN, tail, data)
        tally.received_bytes += len(data)
        self._tail = data[-8:] if len(data) >= 8 else (tail + data)[-8:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the loss; closing by the client itself comes after the last reading of the tally."""
        self._tally.lost += 1


class WebSocketStream(Stream):
    """Answers pings besides, so that a server that checks its peers keeps this one."""

    def __init__(self, tally: Tally, transport: asyncio.Transport) -> None:
        super().__init__(tally, transport)
        self._partial = b""

    def data_received(self, data: bytes) -> None:
        """Count; walk the frames only where the chunk is anything but one short text frame."""
        super().data_received(data)
        if self._partial or len(data) < 2 or data[0] != TEXT_FRAME or data[1] + 2 != len(data):
            self._walk(self._partial + data)

    def _walk(self, data: bytes) -> None:
        at = 0
        while (payload := frame_payload(data, at)) is not None:
            if data[at] == PING:
                body = data[payload]
                self._transport.write(bytes((PONG, MASK_BIT | len(body))) + ZERO_KEY + body)
            at = payload.stop
        self._partial = data[at:]
        if len(self._partial) > MAX_FRAME:
            self._transport.abort()


def frame_payload(data: bytes, at: int) -> slice | None:
    """Return where the payload of an unmasked frame lies; None while the frame is incomplete.

    Arguments:
        data: bytes of the stream.
        at: offset of the frame's first byte.
    """
    if len(data) < at + 2:
        return None
    length, start = data[at + 1], at + 2
    extended = {126: 2, 127: 8}.get(length, 0)
    if extended:
        if len(data) < start + extended:
            return None
        length, start = int.from_bytes(data[start : start + extended]), start + extended
    return slice(start, start + length) if len(data) >= start + length else None


STREAMS: dict[Transport, type[Stream]] = {"websocket": WebSocketStream, "sse": Stream}
STATUS_LINES: dict[Transport, bytes] = {"websocket": b"HTTP/1.1 101", "sse": b"HTTP/1.1 200"}


class Opening(asyncio.Protocol):
    """Sends the request, reads the answer's head, and hands what follows to a stream."""

    def __init__(self, tally: Tally, transport: Transport, request: bytes) -> None:
        self.opened: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()
        self._tally = tally
        self._kind: Transport = transport
        self._request = request
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Collect the head; give the rest to the stream once it is complete."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end and len(head) < MAX_HEAD:
            return
        if not head.startswith(STATUS_LINES[self._kind]):
            self._fail(head.partition(b"\r\n")[0].decode("latin-1"))
            return
        stream = STREAMS[self._kind](self._tally, self._transport)
        self._transport.set_protocol(stream)
        if rest:
            stream.data_received(rest)
        if not self.opened.done():
            self.opened.set_result(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the opening where the server closed before its answer."""
        self._fail("closed before an answer")

    def _fail(self, answer: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"the server refused a connection: {answer}"))
        self._transport.abort()
