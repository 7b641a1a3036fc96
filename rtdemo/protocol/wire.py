"""Wire formats: a message's JSON as the bytes of each transport.

The three formats share one signature. A message for many connections is encoded once per format in
use, not once per connection. `position` is the position of a shared message in the log. Over SSE it
is the event's id, which the browser sends as `Last-Event-ID` when it reconnects.
"""

from __future__ import annotations

from struct import Struct
from typing import Protocol


class WireFormat(Protocol):
    """A function that encodes one message for a transport."""

    def __call__(self, payload: bytes, position: str | None = None, /) -> bytes:
        """Return the message as bytes to send.

        Arguments:
            payload: the message as UTF-8 JSON, without raw line breaks.
            position: its position in the log, `<epoch>-<offset>`, if it is shared.
        """
        ...


_FIN = 0x80
_FIN_TEXT = 0x81
# Made once: most messages are short, and joining costs half of formatting.
_SHORT_HEADS = tuple(bytes((_FIN_TEXT, length)) for length in range(126))
# `data: ` and two line feeds add 8 bytes.
_CHUNK_HEADS = tuple(b"%x\r\ndata: " % (length + 8) for length in range(1024))
_LENGTH_16 = Struct("!BBH").pack
_LENGTH_64 = Struct("!BBQ").pack
PING, PONG = 0x9, 0xA
"""Opcodes of control frames (RFC 6455 section 11.8)."""
SSE_COMMENT = b": ping\n\n"
"""A comment, which clients ignore; it keeps a stream open (WHATWG HTML section 9.2.7)."""
SSE_EXPIRED = b"event: expired\ndata: token expired\n\n"
"""Last event of a stream whose client's token has expired; a listener for messages does not get it."""
SSE_LAST_CHUNK = b"0\r\n\r\n"
"""End of an HTTP/1.1 body that is sent in chunks (RFC 9112 section 7.1)."""


def websocket_frame(payload: bytes, position: str | None = None) -> bytes:
    """Return one unmasked, final text frame (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        return _SHORT_HEADS[length] + payload
    if length < 65536:
        return _LENGTH_16(_FIN_TEXT, 126, length) + payload
    return _LENGTH_64(_FIN_TEXT, 127, length) + payload


def websocket_control(opcode: int, payload: bytes = b"") -> bytes:
    """Return one unmasked control frame (RFC 6455 section 5.5).

    Arguments:
        opcode: such as `PING`.
        payload: at most 125 bytes.
    """
    return bytes((_FIN | opcode, len(payload))) + payload


def sse_event(payload: bytes, position: str | None = None) -> bytes:
    """Return one event of an event stream (WHATWG HTML section 9.2.6)."""
    if position is None:
        return b"data: %b\n\n" % payload
    return b"data: %b\nid: %b\n\n" % (payload, position.encode())


def sse_chunk(payload: bytes, position: str | None = None) -> bytes:
    """Return one event as one chunk of an HTTP/1.1 body (RFC 9112 section 7.1)."""
    if position is not None:
        return chunk(sse_event(payload, position))
    length = len(payload)
    if length < len(_CHUNK_HEADS):
        return _CHUNK_HEADS[length] + payload + b"\n\n\r\n"
    # Joined, not formatted: % reserves more than it fills, and a client that does not read keeps it.
    event_length = len(b"data: ") + length + len(b"\n\n")
    return b"".join((b"%x\r\n" % event_length, b"data: ", payload, b"\n\n\r\n"))


def sse_heartbeat(payload: bytes) -> bytes:
    """Return a heartbeat as an event of this name; a listener for messages does not get it."""
    return b"event: heartbeat\ndata: %b\n\n" % payload


def sse_heartbeat_chunk(payload: bytes) -> bytes:
    """Return a heartbeat as one chunk of an HTTP/1.1 body (RFC 9112 section 7.1)."""
    return chunk(sse_heartbeat(payload))


def sse_retry(milliseconds: int) -> bytes:
    """Return the block that sets how long an EventSource waits before it reconnects.

    Source: WHATWG HTML section 9.2.6, the field `retry`.
    """
    return b"retry: %d\n\n" % milliseconds


def chunk(data: bytes) -> bytes:
    """Return data as one chunk of an HTTP/1.1 body (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)
