"""Read the head of a response by HTTP/1.1, wherever the network splits its bytes.

It is for thousands of connections at once, so it keeps only what bench and storm use, and leaves the
body to them. `lab/http_response.py` reads whole responses, and records every fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

MAX_HEAD_BYTES = 32 * 1024
"""Longest head of a response that is read."""
MAX_LENGTH_DIGITS = 18
"""Of a Content-Length; a longer one is ignored."""
_BEGINNING = b"HTTP/1."
_INTERIM_STATUSES = (b"100", b"102", b"103")
"""Of responses before the response itself (RFC 9110 section 15.2)."""


class HeadError(ValueError):
    """Report why there is no head, as what the server does: `does not speak HTTP/1.1`."""


class ResponseHead(NamedTuple):
    """The head of a response.

    Arguments:
        status: code and reason, such as `200 OK`.
        fields: headers by name in lower case; of several with one name, the last.
        rest: bytes after the head.
    """

    status: bytes
    fields: Mapping[bytes, bytes]
    rest: bytes

    @property
    def media_type(self) -> bytes:
        """The type in Content-Type, in lower case, without parameters."""
        return self.fields.get(b"content-type", b"").partition(b";")[0].strip().lower()

    @property
    def is_chunked(self) -> bool:
        """Whether the body is in chunks (RFC 9112 section 7.1)."""
        return self.fields.get(b"transfer-encoding", b"").lower() == b"chunked"

    @property
    def length(self) -> int | None:
        """Bytes of the body; None if it is in chunks, or ends with the connection."""
        given = self.fields.get(b"content-length", b"")
        is_length = given.isdigit() and len(given) <= MAX_LENGTH_DIGITS and not self.is_chunked
        return int(given) if is_length else None


class HeadReader:
    """Read one head, after any interim responses."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> ResponseHead | None:
        """Return the head; None while it is incomplete.

        Raises:
            HeadError: if the bytes are none, or too many.
        """
        self._data += data
        while True:
            if self._data[: len(_BEGINNING)] != _BEGINNING[: len(self._data)]:
                raise HeadError("does not speak HTTP/1.1")
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                if len(head) > MAX_HEAD_BYTES:
                    raise HeadError(f"sent response headers of over {MAX_HEAD_BYTES >> 10} KiB")
                return None
            first, *lines = head.split(b"\r\n")
            status = first.partition(b" ")[2]
            if status[:3] not in _INTERIM_STATUSES:
                break
            self._data = rest
        pairs = (line.partition(b":") for line in lines)
        return ResponseHead(
            status, {name.strip().lower(): value.strip() for name, _, value in pairs}, rest
        )
