"""WebSocket frames with compressed messages (RFC 7692), made once for all connections that get them.

Each message is compressed by itself (`server_no_context_takeover`). So its bytes do not depend on what
a connection got before, and a shared message is compressed once for everyone. No connection keeps a
compressor, which would take 256 KiB.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

from rtdemo.protocol.wire import WireFormat, websocket_frame

MIN_BYTES = 200
"""Messages below this are sent as they are: compression takes 7 us, and saves 18 of 100 bytes."""
LEVEL = 1
"""The fastest: of 84 kB of JSON it leaves 12.2 kB in 0.5 ms, and level 6 leaves 11.4 kB in 0.9 ms."""
MAX_WINDOW_BITS = 12
"""Largest window in use: with a larger one, a result of 64 kB is a tenth larger at this level."""
_MEMORY_LEVEL = 5
_RSV1 = 0x40
"""Bit of the first byte of a frame whose message is compressed (RFC 7692 section 6)."""
_TAIL = b"\x00\x00\xff\xff"
"""End of a flush, which is not sent (RFC 7692 section 7.2.1)."""


def deflated_frame(window_bits: int) -> WireFormat:
    """Return a wire format like `websocket_frame` that compresses.

    Arguments:
        window_bits: the largest window of the client's decompressor, from 9 to 15.

    Returns:
        The same function for clients that can have the same bytes.
    """
    return _deflated_frame(min(window_bits, MAX_WINDOW_BITS))


@lru_cache
def _deflated_frame(window_bits: int) -> WireFormat:
    def frame(payload: bytes, position: str | None = None) -> bytes:
        if len(payload) < MIN_BYTES:
            return websocket_frame(payload)
        compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -window_bits, _MEMORY_LEVEL)
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        compressed = websocket_frame(data.removesuffix(_TAIL))
        return bytes((compressed[0] | _RSV1,)) + compressed[1:]

    return frame
