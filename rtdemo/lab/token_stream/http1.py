"""Send a request over HTTP/1.1, and parse the answer at each read (RFC 9112).

It shows when bytes arrive and how the answer ends, which HTTP libraries hide. The server may be any:
everything that is kept is bounded. It ends at what cannot be read; `conform/http_response.py` records
what breaks a rule, and reads on.
"""

from __future__ import annotations

import re

from rtdemo.lab.http2_exchange import Head

MAX_HEAD_BYTES = 256 * 1024
"""Longest head of an answer, or size line of a chunk."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3})(?: .*)?", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?", re.DOTALL)
"""Size of a chunk, at most 4 GiB, and its extensions (RFC 9112 section 7.1)."""
_FIRST_FINAL_STATUS = 200
_NO_BODY = frozenset((204, 304))


class InvalidAnswerError(ValueError):
    """Report that bytes are not an HTTP/1.1 answer."""


class AnswerParser:
    """Parse one answer, split anywhere.

    Attributes:
        head: status and headers; None until they are complete.
        is_complete: whether the whole answer arrived.
    """

    def __init__(self) -> None:
        self.head: Head | None = None
        self.is_complete = False
        self._rest = b""
        self._parse = self._parse_head
        self._missing = 0
        """Bytes of the body, or of this chunk, that are to come."""

    def feed(self, data: bytes) -> bytes:
        """Return the part of the body that is in these bytes.

        Raises:
            InvalidAnswerError: if they are not HTTP/1.1.
        """
        self._rest += data
        body: list[bytes] = []
        while self._rest and not self.is_complete and self._parse(body):
            pass
        return b"".join(body)

    def end(self) -> None:
        """Take the end of the connection, which ends an answer without a length (section 6.3)."""
        if self._parse == self._parse_until_close:
            self.is_complete = True

    def _line(self) -> bytes | None:
        """Return the next line without its end; None until it is complete."""
        line, found, rest = self._rest.partition(b"\n")
        if len(line) > MAX_HEAD_BYTES:
            raise InvalidAnswerError("a line without an end")
        if not found:
            return None
        self._rest = rest
        return line.removesuffix(b"\r")

    def _parse_head(self, body: list[bytes]) -> bool:
        if not self._rest.startswith(b"HTTP/1."[: len(self._rest)]):
            raise InvalidAnswerError("is not HTTP/1.1")
        end = re.search(rb"\r?\n\r?\n", self._rest)
        if end is None:
            if len(self._rest) > MAX_HEAD_BYTES:
                raise InvalidAnswerError("a head without an end")
            return False
        first, *lines = self._rest[: end.start()].split(b"\n")
        self._rest = self._rest[end.end() :]
        status = _STATUS_LINE.fullmatch(first.removesuffix(b"\r"))
        if status is None:
            raise InvalidAnswerError("an invalid status line")
        if int(status[1]) < _FIRST_FINAL_STATUS:  # such as 103 Early Hints
            return True
        headers = []
        for line in lines:
            name, _, value = line.decode("utf-8", "replace").partition(":")
            headers.append((name, value.strip()))
        self.head = Head(int(status[1]), headers)
        self._choose_framing(int(status[1]), {name.lower(): value.lower() for name, value in headers})
        return True

    def _choose_framing(self, status: int, headers: dict[str, str]) -> None:
        """Choose how the body ends (section 6.3)."""
        length = headers.get("content-length", "")
        if status in _NO_BODY:
            self.is_complete = True
        elif "chunked" in headers.get("transfer-encoding", ""):
            self._parse = self._parse_chunk_size
        elif length.isascii() and length.isdigit():
            self._missing = int(length[:15])
            self._parse = self._parse_length
            self.is_complete = not self._missing
        else:
            self._parse = self._parse_until_close

    def _take(self, body: list[bytes]) -> None:
        part, self._rest = self._rest[: self._missing], self._rest[self._missing :]
        self._missing -= len(part)
        body.append(part)

    def _parse_length(self, body: list[bytes]) -> bool:
        self._take(body)
        self.is_complete = not self._missing
        return False

    def _parse_until_close(self, body: list[bytes]) -> bool:
        body.append(self._rest)
        self._rest = b""
        return False

    def _parse_chunk_size(self, body: list[bytes]) -> bool:
        line = self._line()
        if line is None:
            return False
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise InvalidAnswerError("an invalid chunk")
        self._missing = int(size[1], 16)
        self._parse = self._parse_chunk if self._missing else self._parse_trailers
        return True

    def _parse_chunk(self, body: list[bytes]) -> bool:
        self._take(body)
        if not self._missing:
            self._parse = self._parse_chunk_end
        return True

    def _parse_chunk_end(self, body: list[bytes]) -> bool:
        line = self._line()
        if line:
            raise InvalidAnswerError("a chunk without an end")
        self._parse = self._parse_chunk_size if line is not None else self._parse
        return line is not None

    def _parse_trailers(self, body: list[bytes]) -> bool:
        line = self._line()
        if line == b"":
            self.is_complete = True
        return bool(line)


def head_of_request(target: str, host: str, headers: dict[str, str]) -> bytes:
    """Return the head of a POST request (section 3), in which a header has no line break."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.title()}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()
