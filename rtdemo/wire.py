"""Encode a message's JSON as the bytes of each transport.

The three functions are the wire formats; they share one signature, so that a message for many
connections is encoded once for each format in use and not once for each connection.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

WireFormat = Callable[[bytes], bytes]

_LENGTH_16 = Struct("!BBH").pack
_LENGTH_64 = Struct("!BBQ").pack
_FIN_TEXT = 0x81


def websocket_frame(payload: bytes) -> bytes:
    """Return one unmasked, final text frame (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        return bytes((_FIN_TEXT, length)) + payload
    if length < 65536:
        return _LENGTH_16(_FIN_TEXT, 126, length) + payload
    return _LENGTH_64(_FIN_TEXT, 127, length) + payload


def sse_event(payload: bytes) -> bytes:
    """Return one event of the stream (WHATWG HTML section 9.2.6); JSON has no raw line break."""
    return b"data: %b\n\n" % payload


def sse_chunk(payload: bytes) -> bytes:
    """Return one event as one chunk of an HTTP/1.1 body (RFC 9112 section 7.1)."""
    # 8 is what `data: ` and the two line feeds add.
    return b"%x\r\ndata: %b\n\n\r\n" % (len(payload) + 8, payload)


def sse_retry(milliseconds: int) -> bytes:
    """Return the field that tells an EventSource how long to wait before it comes back."""
    return b"retry: %d\n\n" % milliseconds
