"""Encode a message's JSON as the bytes of each transport.

The three functions are the wire formats; they share one signature, so that a message for many
connections is encoded once for each format in use and not once for each connection. `position` is
the message's place in the log, if it has one: over SSE the browser keeps it as the last event id.
"""

from __future__ import annotations

from struct import Struct
from typing import Protocol


class WireFormat(Protocol):
    """Make the bytes of one message from its JSON and its place in the log."""

    def __call__(self, payload: bytes, position: str | None = None, /) -> bytes:
        """Return the finished bytes."""
        ...


_LENGTH_16 = Struct("!BBH").pack
_LENGTH_64 = Struct("!BBQ").pack
_FIN_TEXT = 0x81


def websocket_frame(payload: bytes, position: str | None = None) -> bytes:
    """Return one unmasked, final text frame (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((_FIN_TEXT, length)) + payload
    if length < 65536:
        return _LENGTH_16(_FIN_TEXT, 126, length) + payload
    return _LENGTH_64(_FIN_TEXT, 127, length) + payload


def sse_event(payload: bytes, position: str | None = None) -> bytes:
    """Return one event of the stream (WHATWG HTML section 9.2.6); JSON has no raw line break."""
    if position is None:
        return b"data: %b\n\n" % payload
    return b"data: %b\nid: %b\n\n" % (payload, position.encode())


def sse_chunk(payload: bytes, position: str | None = None) -> bytes:
    """Return one event as one chunk of an HTTP/1.1 body (RFC 9112 section 7.1)."""
    if position is not None:
        event = sse_event(payload, position)
        return b"%x\r\n%b\r\n" % (len(event), event)
    # 8 is what `data: ` and the two line feeds add.
    return b"%x\r\ndata: %b\n\n\r\n" % (len(payload) + 8, payload)


def sse_retry(milliseconds: int) -> bytes:
    """Return the field that tells an EventSource how long to wait before it comes back."""
    return b"retry: %d\n\n" % milliseconds
