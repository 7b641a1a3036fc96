"""Take the payloads out of a stream's bytes: WebSocket frames, or events in an HTTP/1.1 body.

Both readers give what is complete, wherever the network cut it. One message in one piece, which is
how nearly every message comes, takes a short way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rtdemo.lab.event_stream import EventParser
from rtdemo.protocol.client import Transport

MAX_FRAME_BYTES = 4 * 1024 * 1024
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING = 0x0, 0x1, 0x2, 0x8, 0x9
_FINAL_TEXT = 0x81
_MASKED_PONG, _MASKED_CLOSE = 0x8A, 0x88
_ZERO_KEY = b"\0\0\0\0"
"""A masking key that leaves the payload as it is."""
_EXTENDED = {126: 2, 127: 8}


class StreamReader(Protocol):
    """Turn bytes into payloads."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that end in these bytes.

        Raises:
            ValueError: where they are no such stream, or it ends.
        """
        ...


class FrameReader:
    """Read the frames of a server (RFC 6455 section 5), answering pings and a close.

    Arguments:
        write: takes bytes for the server.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._rest = b""
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that end in these bytes, texts or binary."""
        if (
            not self._rest
            and data[0] == _FINAL_TEXT
            and len(data) > 1
            and data[1] + 2 == len(data) < 128
        ):
            return [data[2:]]
        data = self._rest + data
        payloads, at = [], 0
        while (span := _payload(data, at)) is not None:
            payload = self._take(data[at], data[span])
            if payload is not None:
                payloads.append(payload)
            at = span.stop
        self._rest = data[at:]
        return payloads

    def _take(self, head: int, body: bytes) -> bytes | None:
        kind = head & 0x0F
        if kind == _PING:
            self._write(bytes((_MASKED_PONG, 0x80 | len(body))) + _ZERO_KEY + body)
        elif kind == _CLOSE:
            self._write(bytes((_MASKED_CLOSE, 0x80 | len(body))) + _ZERO_KEY + body)
            code = int.from_bytes(body[:2]) if len(body) > 1 else 1005
            raise ValueError(f"the server closed with code {code}")
        elif kind in (_CONTINUATION, _TEXT, _BINARY):
            self._parts.append(body)
            if sum(map(len, self._parts)) > MAX_FRAME_BYTES:
                raise ValueError(f"a message of over {MAX_FRAME_BYTES} bytes")
            if head & 0x80:
                whole, self._parts = b"".join(self._parts), []
                return whole
        return None


def _payload(data: bytes, at: int) -> slice | None:
    if len(data) < at + 2:
        return None
    if data[at] & 0x70 or data[at + 1] & 0x80:
        raise ValueError("a frame that is masked, or of an extension that was not asked for")
    length, start = data[at + 1], at + 2
    if extended := _EXTENDED.get(length):
        if len(data) < start + extended:
            return None
        length, start = int.from_bytes(data[start : start + extended]), start + extended
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {length} bytes")
    return slice(start, start + length) if len(data) >= start + length else None


class BodyReader:
    """Read the events of an HTTP/1.1 body, chunked (RFC 9112 section 7.1) or until the end.

    Arguments:
        chunked: whether it is.
    """

    def __init__(self, chunked: bool) -> None:
        self._chunked = chunked
        self._parser = EventParser()
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of the events that end in these bytes."""
        if not self._chunked:
            return self._events(data)
        data = self._rest + data
        short = _one_event(data)
        if short is not None and self._parser.is_between_events:
            self._rest = b""
            return [short]
        body, at = [], 0
        while (span := _chunk(data, at)) is not None:
            if span.start == span.stop:
                raise ValueError("the server ended the stream")
            body.append(data[span])
            at = span.stop + 2
        self._rest = data[at:]
        return self._events(b"".join(body))

    def _events(self, body: bytes) -> list[bytes]:
        return [event.data for event in self._parser.feed(body)] if body else []


def _one_event(data: bytes) -> bytes | None:
    """Return the data of bytes that are one chunk with one event of one line."""
    head, _, body = data.partition(b"\r\n")
    # What lies between `data: ` and the end has no line feed, so there is one line, in one chunk.
    if not (body.startswith(b"data: ") and body.endswith(b"\n\n\r\n") and head.isalnum()):
        return None
    payload = body[6:-4]
    is_whole = b"\n" not in payload and b"\r" not in payload and _size(head) == len(body) - 2
    return payload if is_whole else None


def _size(head: bytes) -> int:
    """Return the size that begins a chunk; extensions are left out of account."""
    size = int(head.partition(b";")[0], 16)
    if not 0 <= size <= MAX_FRAME_BYTES:
        raise ValueError(f"a chunk of {size} bytes")
    return size


def _chunk(data: bytes, at: int) -> slice | None:
    end = data.find(b"\r\n", at)
    if end < 0:
        if len(data) - at > 1024:
            raise ValueError("a chunk without a size")
        return None
    start = end + 2
    stop = start + _size(data[at:end])
    return slice(start, stop) if len(data) >= stop + 2 else None


def reader(transport: Transport, chunked: bool, write: Callable[[bytes], object]) -> StreamReader:
    """Return the reader of a transport's stream."""
    return FrameReader(write) if transport == "websocket" else BodyReader(chunked)
