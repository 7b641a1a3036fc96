"""Read payloads from a stream's bytes: WebSocket frames, or events in an HTTP/1.1 body.

Both readers return complete payloads, wherever the network splits the bytes. A message that arrives in
one piece, as nearly every message does, takes a fast path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rtdemo.lab.bench.response_head import ResponseHead
from rtdemo.protocol.client import Transport
from rtdemo.protocol.event_stream import EventParser

MAX_FRAME_BYTES = 4 * 1024 * 1024
"""Longest frame, message or chunk that is read."""
ENDED = "the server ended the stream"
_MAX_CHUNK_SIZE_LINE_BYTES = 1024
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING = 0x0, 0x1, 0x2, 0x8, 0x9
_FINAL_TEXT = 0x81
_MASKED_PONG, _MASKED_CLOSE = 0x8A, 0x88
_ZERO_KEY = b"\0\0\0\0"
"""A masking key that leaves the payload unchanged."""
_EXTENDED_LENGTH_BYTES = {126: 2, 127: 8}
_NO_STATUS_CODE = 1005
"""Code for a close frame without one (RFC 6455 section 7.1.5)."""


class StreamEnd(ValueError):  # noqa: N818 - an end in order is no error
    """The server has ended the stream in order.

    Arguments:
        sentence: what it sent.
        payloads: payloads that ended before, in the same bytes.
    """

    def __init__(self, sentence: str, payloads: list[bytes] | None = None) -> None:
        super().__init__(sentence)
        self.payloads = payloads or []


class StreamReader(Protocol):
    """Reads payloads from a stream's bytes."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that end in these bytes.

        Raises:
            StreamEnd: if the stream ends.
            ValueError: if the bytes are not valid.
        """
        ...


def new_reader(
    transport: Transport, head: ResponseHead, write: Callable[[bytes], object]
) -> StreamReader:
    """Return a reader for a transport's stream.

    Arguments:
        transport: of the stream.
        head: of the response that opened it.
        write: sends bytes to the server; for WebSocket only.
    """
    return FrameReader(write) if transport == "websocket" else BodyReader(head.is_chunked, head.length)


class FrameReader:
    """Read a server's frames (RFC 6455 section 5); answer pings and a close.

    Arguments:
        write: sends bytes to the server.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._rest = b""
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the text and binary messages that end in these bytes.

        Raises:
            StreamEnd: if the server closes.
            ValueError: if a frame is not valid or too long.
        """
        if (
            not self._rest
            and data[0] == _FINAL_TEXT
            and len(data) > 1
            and data[1] + 2 == len(data) < 128
        ):
            return [data[2:]]
        data = self._rest + data
        payloads: list[bytes] = []
        at = 0
        while (span := _frame_payload(data, at)) is not None:
            try:
                payload = self._handle(data[at], data[span])
            except StreamEnd as end:
                end.payloads = payloads
                raise
            if payload is not None:
                payloads.append(payload)
            at = span.stop
        self._rest = data[at:]
        return payloads

    def _handle(self, head: int, body: bytes) -> bytes | None:
        """Handle one frame; return the message that it completes."""
        kind = head & 0x0F
        if kind == _PING:
            self._write(bytes((_MASKED_PONG, 0x80 | len(body))) + _ZERO_KEY + body)
        elif kind == _CLOSE:
            self._write(bytes((_MASKED_CLOSE, 0x80 | len(body))) + _ZERO_KEY + body)
            code = int.from_bytes(body[:2]) if len(body) > 1 else _NO_STATUS_CODE
            raise StreamEnd(f"the server closed with code {code}")
        elif kind in (_CONTINUATION, _TEXT, _BINARY):
            if body:
                # Empty fragments without end would take memory without adding to the size.
                self._parts.append(body)
            self._size += len(body)
            if self._size > MAX_FRAME_BYTES:
                raise ValueError(f"a message of over {MAX_FRAME_BYTES} bytes")
            if head & 0x80:
                whole, self._parts, self._size = b"".join(self._parts), [], 0
                return whole
        return None


def _frame_payload(data: bytes, at: int) -> slice | None:
    """Return where the payload of the frame at this index is; None if it is incomplete."""
    if len(data) < at + 2:
        return None
    if data[at] & 0x70 or data[at + 1] & 0x80:
        raise ValueError("a frame that is masked, or uses an extension that was not negotiated")
    length, start = data[at + 1], at + 2
    if extended := _EXTENDED_LENGTH_BYTES.get(length):
        if len(data) < start + extended:
            return None
        length, start = int.from_bytes(data[start : start + extended]), start + extended
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {length} bytes")
    return slice(start, start + length) if len(data) >= start + length else None


class BodyReader:
    """Read the events of an HTTP/1.1 body.

    Arguments:
        chunked: whether the body is chunked (RFC 9112 section 7.1).
        length: its bytes, if it has a Content-Length; None if it continues until the connection closes.

    Attributes:
        parser: of the events; has the last id and `retry:`.
    """

    def __init__(self, chunked: bool, length: int | None = None) -> None:
        self._chunked = chunked
        self._left = length
        self.parser = EventParser()
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of the events that end in these bytes.

        Raises:
            StreamEnd: if the body ends.
            ValueError: if a chunk is not valid or too long.
        """
        if not self._chunked:
            return self._events_within_length(data)
        data = self._rest + data
        payload = _single_event(data)
        if payload is not None and self.parser.is_between_events:
            self._rest = b""
            return [payload]
        body: list[bytes] = []
        at = 0
        while (span := _chunk_data(data, at)) is not None:
            if span.start == span.stop:
                raise StreamEnd(ENDED, self._events(b"".join(body)))
            body.append(data[span])
            at = span.stop + 2
        self._rest = data[at:]
        return self._events(b"".join(body))

    def _events_within_length(self, data: bytes) -> list[bytes]:
        if self._left is None:
            return self._events(data)
        data = data[: self._left]
        self._left -= len(data)
        events = self._events(data)
        if not self._left:
            raise StreamEnd(ENDED, events)
        return events

    def _events(self, body: bytes) -> list[bytes]:
        return [event.data for event in self.parser.feed(body)] if body else []


def _single_event(data: bytes) -> bytes | None:
    """Return the payload if the bytes are one chunk with one event of one line; otherwise None."""
    head, _, body = data.partition(b"\r\n")
    if not (body.startswith(b"data: ") and body.endswith(b"\n\n\r\n") and head.isalnum()):
        return None
    # A payload without a line end is one line, and the size shows that it is one chunk.
    payload = body[6:-4]
    is_whole = b"\n" not in payload and b"\r" not in payload and _chunk_size(head) == len(body) - 2
    return payload if is_whole else None


def _chunk_size(head: bytes) -> int:
    """Return the size from a chunk's first line; ignore extensions."""
    digits = head.partition(b";")[0].strip()
    try:
        size = int(digits, 16) if digits.isalnum() else -1
    except ValueError:
        size = -1
    if size < 0:
        raise ValueError("a chunk without a size")
    if not 0 <= size <= MAX_FRAME_BYTES:
        raise ValueError(f"a chunk of {size} bytes")
    return size


def _chunk_data(data: bytes, at: int) -> slice | None:
    """Return where the data of the chunk at this index is; None if it is incomplete."""
    end = data.find(b"\r\n", at)
    if end < 0:
        if len(data) - at > _MAX_CHUNK_SIZE_LINE_BYTES:
            raise ValueError("a chunk without a size")
        return None
    start = end + 2
    stop = start + _chunk_size(data[at:end])
    return slice(start, stop) if len(data) >= stop + 2 else None
