"""Bound the frames of a WebSocket that aiohttp reads: those of a probe.

aiohttp parses all that has arrived in one turn of the loop, and bounds only the bytes of the payloads. A
frame without a payload has two bytes, so 131,000 of them may be in a segment: a tenth of a second.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp.http_websocket import WebSocketReader

MAX_FRAMES = 400
"""Frames that are read of one socket: a probe answers 200 texts and pings; a text may have fragments."""
MAX_DROPPED_BYTES = 1024 * 1024
"""Bytes that are dropped after that. A client that goes on sending is cut."""
_SIZES = {126: struct.Struct("!H"), 127: struct.Struct("!Q")}
"""Longer forms of a payload's length (RFC 6455 section 5.2)."""


class FrameBudget:
    """Hand a client's first frames over to aiohttp's reader, and drop all others.

    Arguments:
        reader: aiohttp's reader, which does the parsing.
        cut: ends the connection.
    """

    __slots__ = ("_cut", "_dropped_bytes", "_frames", "_head", "_payload_left", "_reader")

    def __init__(self, reader: WebSocketReader, cut: Callable[[], None]) -> None:
        self._reader = reader
        self._cut = cut
        self._frames = 0
        self._dropped_bytes = 0
        # Of the last frame: its head if that is not complete, and the bytes of its payload to come.
        self._head = b""
        self._payload_left = 0

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Handle what has arrived; return whether the connection ends, and what follows."""
        end = self._end_of_budget(data)
        if end < len(data):
            self._dropped_bytes += len(data) - end
            if self._dropped_bytes > MAX_DROPPED_BYTES:
                self._cut()
                return False, b""
        return self._reader.feed_data(data[:end]) if end else (False, b"")

    def feed_eof(self) -> None:
        """Pass on that the client has left."""
        self._reader.feed_eof()

    def _end_of_budget(self, data: bytes) -> int:
        """Return the number of bytes that belong to frames within the budget."""
        if self._dropped_bytes:
            return 0
        before = len(self._head)
        joined = self._head + data if before else data
        at = self._payload_left
        while at < len(joined):
            if self._frames == MAX_FRAMES:
                return max(0, at - before)
            size = _frame_bytes(joined, at)
            if size is None:
                self._head, self._payload_left = joined[at:], 0
                return len(data)
            self._frames += 1
            at += size
        self._head, self._payload_left = b"", at - len(joined)
        return len(data)


def _frame_bytes(data: bytes, at: int) -> int | None:
    """Return the size of the frame that begins at a place; None if its head is not complete."""
    if len(data) < at + 2:
        return None
    length, mask_bytes = data[at + 1] & 0x7F, 4 if data[at + 1] & 0x80 else 0
    longer = _SIZES.get(length)
    if longer is None:
        return 2 + mask_bytes + length
    if len(data) < at + 2 + longer.size:
        return None
    return 2 + longer.size + mask_bytes + int(longer.unpack_from(data, at + 2)[0])
