"""Split an event stream into lines and blocks, and keep what a parser of events drops.

`rtdemo.protocol.event_stream` reads a stream as a browser does: it accepts whatever it can. A check of a
server needs the rest: how lines end, which fields are ignored, when each line arrived (WHATWG HTML
sections 9.2.5 and 9.2.6). It does no I/O.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from rtdemo.lab.http_response import Piece

BOM = b"\xef\xbb\xbf"
FIELD_NAMES = (b"data", b"event", b"id", b"retry")
MAX_LINES = 100_000
"""Lines that are read of a stream."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
_END_NAMES = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}


@dataclass(slots=True)
class Line:
    """One line of a stream.

    Attributes:
        at: seconds after the request at which its end arrived.
        text: its bytes, without the end.
    """

    at: float
    text: bytes

    @property
    def is_comment(self) -> bool:
        """Whether clients ignore it as a comment."""
        return self.text.startswith(b":")

    @property
    def name(self) -> bytes:
        """Name of its field; the whole line without a colon."""
        return self.text.partition(b":")[0]

    @property
    def value(self) -> bytes:
        """Value of its field, without the one space after the colon."""
        return self.text.partition(b":")[2].removeprefix(b" ")


@dataclass(slots=True)
class Block:
    """Lines up to a blank one.

    Attributes:
        lines: without the blank one.
        at: seconds after the request at which the blank line arrived; None while it has not.
    """

    lines: list[Line] = field(default_factory=list)
    at: float | None = None

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of the fields with exactly this name."""
        return [line.value for line in self.lines if line.name == name and not line.is_comment]

    @property
    def is_event(self) -> bool:
        """Whether a client dispatches an event for it: only with data."""
        return any(line.name == b"data" for line in self.lines)

    @property
    def data(self) -> bytes:
        """Its data lines, joined by line feeds."""
        return b"\n".join(self.values(b"data"))

    @property
    def id(self) -> bytes | None:
        """The event ID that it sets; None if it sets none."""
        valid = [value for value in self.values(b"id") if b"\0" not in value]
        return valid[-1] if valid else None


@dataclass
class EventLines:
    """An event stream in lines.

    Attributes:
        blocks: those that a blank line has ended.
        pending: the lines after them.
        rest: the bytes after the last line end.
        line_ends: how many lines end with LF, CRLF and CR.
        has_bom: whether the stream begins with a byte order mark.
        bad_utf8: the first bytes that are not UTF-8, with what is before them; empty if all are.
        size_bytes: all bytes.
        arrivals: seconds after the request at which bytes arrived.
    """

    blocks: list[Block] = field(default_factory=list)
    pending: Block = field(default_factory=Block)
    rest: bytes = b""
    line_ends: Counter[str] = field(default_factory=Counter)
    has_bom: bool = False
    bad_utf8: bytes = b""
    size_bytes: int = 0
    arrivals: list[float] = field(default_factory=list)

    @cached_property
    def events(self) -> list[Block]:
        """The blocks that a client dispatches. Ask once the stream is split."""
        return [block for block in self.blocks if block.is_event]

    @property
    def lines(self) -> Iterator[Line]:
        """All complete lines that are not blank."""
        for block in (*self.blocks, self.pending):
            yield from block.lines

    @cached_property
    def fields(self) -> list[Line]:
        """All complete lines that are fields. Ask once the stream is split."""
        return [line for line in self.lines if not line.is_comment]


def split(pieces: Iterable[Piece]) -> EventLines:
    """Return a stream in lines.

    Arguments:
        pieces: the body as it arrived.
    """
    found = EventLines()
    pieces = list(pieces)
    data = b"".join(piece.data for piece in pieces)
    found.size_bytes = len(data)
    found.arrivals = [piece.at for piece in pieces]
    found.has_bom = data.startswith(BOM)
    found.bad_utf8 = _bad_utf8(data)
    start = len(BOM) if found.has_bom else 0
    arrival = _Arrival(pieces)
    for end in islice(_LINE_END.finditer(data, start), MAX_LINES):
        found.line_ends[_END_NAMES[end[0]]] += 1
        # A CR ends the line as it arrives, although an LF may follow.
        _add_line(found, Line(arrival.of(end.start()), data[start : end.start()]))
        start = end.end()
    found.rest = data[start:]
    return found


def _add_line(found: EventLines, line: Line) -> None:
    if line.text:
        found.pending.lines.append(line)
        return
    found.pending.at = line.at
    if found.pending.lines:
        found.blocks.append(found.pending)
    found.pending = Block()


class _Arrival:
    """Find when a byte arrived; asked in ascending order."""

    def __init__(self, pieces: list[Piece]) -> None:
        self._pieces = iter(pieces)
        self._end = 0
        self._at = 0.0

    def of(self, offset: int) -> float:
        while offset >= self._end:
            piece = next(self._pieces)
            self._end += len(piece.data)
            self._at = piece.at
        return self._at


def _bad_utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.end == len(data):
            return b""  # the rest of the character may be on its way
        return data[max(0, error.start - 30) : error.end + 10]
    return b""
