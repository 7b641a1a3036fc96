"""Decode a compressed answer as it arrives, as far as the bytes so far allow (RFC 9110 section 8.4)."""

from __future__ import annotations

import zlib

MAX_DECODED_BYTES = 64 * 1024 * 1024
"""Bytes that are decoded of one answer: a few kilobytes of gzip can have gigabytes."""
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_CODINGS = ("gzip", "x-gzip", "deflate")


class Decoder:
    """Decode the body of one answer.

    Arguments:
        coding: value of `Content-Encoding`; empty for none.

    Attributes:
        is_known: whether the coding can be decoded. If not, the bytes stay as they are.
    """

    def __init__(self, coding: str) -> None:
        name = coding.strip().lower()
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB) if name in _CODINGS else None
        self._missing = MAX_DECODED_BYTES
        self.is_known = self._inflate is not None or name in ("", "identity")

    def feed(self, data: bytes) -> bytes:
        """Return what can be decoded after these bytes.

        Raises:
            ValueError: if they are not of the coding, or too many.
        """
        if self._inflate is None:
            return data
        try:
            decoded = self._inflate.decompress(data, self._missing)
        except zlib.error as error:
            raise ValueError("is not compressed as its Content-Encoding says") from error
        self._missing -= len(decoded)
        if self._missing <= 0:
            raise ValueError(f"has over {MAX_DECODED_BYTES // 1024**2} MiB after decompression")
        return decoded
