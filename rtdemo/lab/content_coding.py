"""Decode a compressed body as it arrives, as far as the bytes so far allow (RFC 9110 section 8.4)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

BROWSER_CODINGS = "gzip, deflate, br, zstd"
"""What browsers send as Accept-Encoding over TLS."""
MAX_DECODED_BYTES = 64 * 1024 * 1024
"""Bytes that are decoded of one body: a few kilobytes of gzip can have gigabytes."""
_WINDOWS: Mapping[str, int] = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}
"""By coding: what tells zlib its format (RFC 9110 section 8.4.1: deflate is zlib)."""


class CodingError(ValueError):
    """Report what is wrong with a coded body, in a few words: `has bytes that are not gzip`."""


class Decoder:
    """Decode the body of one answer piece by piece.

    Arguments:
        coding: value of `Content-Encoding`; empty for none.
        most: bytes that are decoded at most; None for any number, of which a piece may have 64 MiB.

    Attributes:
        coding: in lower case; empty for none.
        is_known: whether the coding can be decoded. If not, the bytes stay as they are.
    """

    def __init__(self, coding: str, most: int | None = MAX_DECODED_BYTES) -> None:
        name = coding.strip().lower()
        self.coding = "" if name == "identity" else name
        self._window = _WINDOWS.get(name, 0)
        self._inflate = zlib.decompressobj(self._window) if self._window else None
        self._most = self._left = most or MAX_DECODED_BYTES
        self._is_limited = most is not None
        self.is_known = self._inflate is not None or not self.coding

    def feed(self, data: bytes) -> bytes:
        """Return what can be decoded after these bytes.

        Raises:
            CodingError: if they are not of the coding, or too many.
        """
        if self._inflate is None:
            return data
        decoded = b""
        if not self._is_limited:
            self._left = self._most
        while data:
            if self._inflate.eof:
                # gzip has any number of members (RFC 1952 section 2.2).
                self._inflate = zlib.decompressobj(self._window)
            decoded += self._decompress(self._inflate, data)
            data = self._inflate.unused_data
        return decoded

    def _decompress(self, inflate: zlib._Decompress, data: bytes) -> bytes:
        try:
            decoded = inflate.decompress(data, self._left + 1)
        except zlib.error as error:
            raise CodingError(f"has bytes that are not {self.coding}") from error
        self._left -= len(decoded)
        if self._left < 0:
            raise CodingError(f"has over {self._most // 1024**2} MiB after decompression")
        return decoded
