"""Read HTTP/1.1 responses strictly: what breaks a rule is recorded, and reading goes on where it can.

A client library repairs the faults of a server, and hides when bytes arrive. The server may be any: all
that is kept is bounded, except the body, which the caller may take away. The sections of RFC 9112 that
faults break are in `conform/checks/responses.py`. It does no I/O.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_HEAD_BYTES = 256 * 1024
"""Longest head, in bytes; also the longest line of a chunk's size, and of a trailer."""
MAX_FAULTS = 50
"""Faults that are kept of one response; a stream may repeat the same in each chunk."""
MAX_INTERIM = 50
"""Interim responses that are kept before one response."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2} [\t\x20-\x7e\x80-\xff]*")
_STATUS_LINE_LIKE = re.compile(rb"HTTP/(\d+(?:\.\d+)?)[ \t]+([0-9]{3})(?![0-9])[ \t]*(.*)")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[ \t]*[!#-'*+.^_`|~0-9A-Za-z-]+.*)?)")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
SINGLETONS = (
    "content-type",
    "content-length",
    "date",
    "location",
    "retry-after",
    "etag",
    "last-modified",
)
"""Fields whose definition allows one value only (RFC 9110 section 5.5)."""


class Piece(NamedTuple):
    """Bytes of a body that arrived together.

    Arguments:
        at: time of arrival, as `feed` got it.
        data: the bytes, without the framing of chunks.
    """

    at: float
    data: bytes


class Fault(NamedTuple):
    """A rule that a response breaks.

    Arguments:
        code: which rule.
        seen: the bytes that break it, or what is wrong with them.
    """

    code: str
    seen: str


@dataclass
class Response:
    """One response, also if it is not complete.

    Attributes:
        status: status code; 0 if there was no status line.
        version: such as `1.1`.
        fields: header fields in order, with their names as sent and values as ISO-8859-1.
        interim: status codes of the 1xx responses before it.
        head_at: time at which the head was complete, as `feed` got it; None if it never was.
        body: what arrived of the body, and was not taken away.
        framing: how its end is found.
        is_complete: whether all of it has arrived.
        faults: the rules that it breaks.
        broken: why reading stopped; empty if it did not.
    """

    status: int = 0
    version: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    head_at: float | None = None
    body: list[Piece] = field(default_factory=list)
    framing: str = ""
    is_complete: bool = False
    faults: list[Fault] = field(default_factory=list)
    broken: str = ""

    def values(self, name: str) -> list[str]:
        """Return the values of all fields with this name."""
        return [value for given, value in self.fields if given.lower() == name.lower()]

    def value(self, name: str) -> str | None:
        """Return the values of a field as one, joined by commas; None without the field."""
        values = self.values(name)
        return ", ".join(values) if values else None

    def members(self, name: str) -> list[str]:
        """Return the members of a list field, in lower case."""
        return [part.strip().lower() for part in (self.value(name) or "").split(",") if part.strip()]

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; the last of several, as browsers take it."""
        last = (self.value("Content-Type") or "").rpartition(",")[2]
        return last.partition(";")[0].strip().lower()

    @property
    def is_event_stream(self) -> bool:
        """Whether a browser reads events from it (WHATWG HTML section 9.2.3)."""
        return self.status == 200 and self.media_type == "text/event-stream"

    @property
    def is_endless(self) -> bool:
        """Whether it may be a stream, whatever its media type is."""
        has_no_length = self.status == 200 and self.framing in ("chunked", "until closed")
        return has_no_length or (self.is_event_stream and self.framing != "none")

    def fault(self, code: str, seen: str) -> None:
        """Record a rule that it breaks."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(code, seen))


class ResponseReader:
    """Read the responses to the requests of one connection.

    Arguments:
        methods: of the requests, in order; decides which responses have a body.

    Attributes:
        responses: in order; the last one may be incomplete.
        response: the one that is read now, or the last one.
        excess: bytes after the last response.
    """

    def __init__(self, methods: Sequence[str]) -> None:
        self._methods = list(methods)
        self.responses: list[Response] = []
        self.excess = b""
        self._rest = bytearray()
        self._state = "head"
        self._left = 0
        self._at = 0.0
        self.response = Response()
        self._arrived = bytearray()

    @property
    def is_done(self) -> bool:
        """Whether nothing more is expected."""
        return self._state in ("end", "broken")

    def feed(self, data: bytes, at: float) -> None:
        """Read bytes that arrived.

        Arguments:
            data: the bytes.
            at: time of their arrival, such as seconds since the request was sent.
        """
        self._at = at
        self._rest += data
        while self._step():
            pass
        self._keep_body()
        if self._state == "end" and self._rest:
            self.excess = (self.excess + bytes(self._rest))[:200]
            self._rest.clear()

    def feed_eof(self) -> None:
        """Note that the server has closed the connection."""
        if self._state == "until closed":
            self._finish()
        elif self._state == "head" and self._rest:
            self._begin()
            self._break("the connection ended inside the head")

    def _step(self) -> bool:
        """Take the next element; return whether there may be another one."""
        if self._state == "head":
            return self._read_head()
        if self._state == "until closed":
            return self._take_body(len(self._rest))
        if self._state == "length":
            return self._take_body(min(self._left, len(self._rest)))
        if self._state == "chunk size":
            return self._read_chunk_size()
        if self._state == "chunk":
            return self._take_body(min(self._left, len(self._rest)))
        if self._state == "chunk end":
            return self._read_chunk_end()
        return self._state == "trailer" and self._read_trailer()

    def _begin(self) -> None:
        if not self.responses or self.responses[-1] is not self.response:
            self.responses.append(self.response)

    def _break(self, why: str) -> None:
        self._keep_body()
        self.response.broken = why
        self._state = "broken"
        self._rest.clear()

    def _line(self) -> bytes | None:
        """Return the next line without its end; None if it is not complete."""
        end = self._rest.find(b"\n")
        if end < 0:
            if len(self._rest) > MAX_HEAD_BYTES:
                self._begin()
                self._break(f"a line of over {MAX_HEAD_BYTES} bytes")
            return None
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        if not line.endswith(b"\r"):
            self.response.fault("line-end", f"{_quote(line)} ends with LF alone")
        return line.removesuffix(b"\r")

    def _read_head(self) -> bool:
        # Each head is taken as a whole, once its empty line is there.
        end = re.search(rb"\r?\n\r?\n", self._rest)
        if end is None:
            if len(self._rest) > MAX_HEAD_BYTES:
                self._begin()
                self._break(f"a head of over {MAX_HEAD_BYTES} bytes")
            elif self._rest and not b"HTTP/".startswith(bytes(self._rest[:5])):
                self._begin()
                self.response.fault("status-line", _quote(bytes(self._rest)))
                self._break("it does not begin with HTTP/")
            return False
        self._begin()
        response = self.response
        status_line = self._line() or b""
        self._read_status_line(status_line)
        if self._state == "broken":
            return False
        while line := self._line():
            self._read_field(line)
        if 100 <= response.status < 200 and response.status != 101:
            if len(response.interim) < MAX_INTERIM:
                response.interim.append(response.status)
            self._check_no_content(response)
            response.status, response.fields = 0, []
            return True
        response.head_at = self._at
        _check_singletons(response)
        self._set_framing()
        return True

    def _read_status_line(self, line: bytes) -> None:
        response = self.response
        found = _STATUS_LINE_LIKE.match(line)
        if not _STATUS_LINE.fullmatch(line):
            response.fault("status-line", _quote(line))
        if found is None:
            self._break("it has no status line")
        else:
            response.version, response.status = found[1].decode(), int(found[2])

    def _read_field(self, line: bytes) -> None:
        response = self.response
        if line[:1] in (b" ", b"\t"):
            response.fault("fold", _quote(line))
            if response.fields:
                folded, value = response.fields[-1]
                response.fields[-1] = (folded, f"{value} {line.strip().decode('latin-1')}")
            return
        found = _FIELD.fullmatch(line)
        name, _, raw_value = line.partition(b":")
        if found is None:
            code = "field-space" if name != name.rstrip() and b":" in line else "field-name"
            response.fault(code, _quote(line))
        content = found[2] if found else raw_value.strip(b" \t")
        if not _VALUE.fullmatch(content):
            response.fault("field-value", _quote(line))
        response.fields.append((name.strip().decode("latin-1"), content.decode("latin-1")))

    def _set_framing(self) -> None:
        response = self.response
        method = self._methods[len(self.responses) - 1]
        length = response.values("Content-Length")
        codings = response.members("Transfer-Encoding")
        if codings and length:
            response.fault("two-framings", f"Content-Length: {length[0]} beside Transfer-Encoding")
        if any(not _DIGITS.fullmatch(value) for value in length) or len(set(length)) > 1:
            response.fault("length", f"Content-Length: {', '.join(length)}")
            length = []
        self._check_no_content(response)
        if method == "HEAD" or response.status in (204, 304):
            response.framing = "none"
            self._finish()
        elif codings:
            self._begin_coded_body(codings)
        elif length:
            response.framing, self._state = "length", "length"
            # A length beyond every limit is read until the reading ends.
            self._left = int(length[0][:18])
            if self._left == 0:
                self._finish()
        else:
            response.framing = self._state = "until closed"

    def _begin_coded_body(self, codings: list[str]) -> None:
        response = self.response
        if codings.count("chunked") > 1 or any(
            coding.partition(";")[0].strip()
            not in ("chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress")
            for coding in codings
        ):
            response.fault("transfer-coding", f"Transfer-Encoding: {', '.join(codings)}")
        if codings[-1] == "chunked":
            response.framing, self._state = "chunked", "chunk size"
        else:
            response.framing = self._state = "until closed"

    def _check_no_content(self, response: Response) -> None:
        if response.status == 204 or 100 <= response.status < 200:
            for name in ("Transfer-Encoding", "Content-Length"):
                if response.values(name):
                    response.fault(
                        "no-content", f"{response.status} with {name}: {response.value(name)}"
                    )

    def _take_body(self, size: int) -> bool:
        if size:
            self._arrived += self._rest[:size]
            del self._rest[:size]
        if self._state == "until closed":
            return False
        self._left -= size
        if self._left == 0:
            if self._state == "chunk":
                self._state = "chunk end"
            else:
                self._finish()
            return True
        return False

    def _read_chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            self.response.fault("chunk", f"{_quote(line)} in the place of a chunk's size")
            self._break("the body is not in valid chunks")
            return False
        self._left = int(found[1], 16)
        self._state = "chunk" if self._left else "trailer"
        return True

    def _read_chunk_end(self) -> bool:
        if len(self._rest) < 2 and bytes(self._rest) in (b"", b"\r"):
            return False
        after = bytes(self._rest[:2])
        if after == b"\r\n":
            del self._rest[:2]
        elif after[:1] == b"\n":
            self.response.fault("line-end", "a chunk ends with LF alone")
            del self._rest[:1]
        else:
            self.response.fault("chunk", f"{_quote(bytes(self._rest))} in the place of a chunk's CRLF")
            self._break("the body is not in valid chunks")
            return False
        self._state = "chunk size"
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._finish()
            return True
        if not _FIELD.fullmatch(line):
            self.response.fault("field-name", f"{_quote(line)} as a trailer")
        return True

    def _keep_body(self) -> None:
        """Keep what has arrived at once as one piece, however many chunks it was."""
        if self._arrived:
            self.response.body.append(Piece(self._at, bytes(self._arrived)))
            self._arrived.clear()

    def _finish(self) -> None:
        self._keep_body()
        self.response.is_complete = True
        if len(self.responses) < len(self._methods):
            self.response, self._state = Response(), "head"
        else:
            self._state = "end"


def _check_singletons(response: Response) -> None:
    counts = Counter(name.lower() for name, _ in response.fields)
    for name in SINGLETONS:
        if counts[name] > 1:
            response.fault("singleton", f"{counts[name]} lines of {name.title()}")


def _quote(data: bytes) -> str:
    """Return the beginning of some bytes, as readable text."""
    text = data[:80].decode("latin-1").encode("unicode_escape").decode()
    return f"“{text}{'…' if len(data) > 80 else ''}”"
