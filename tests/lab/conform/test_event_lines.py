"""Event streams in lines and blocks, with the times at which they arrived."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtdemo.lab.conform.event_lines import split
from rtdemo.lab.http_response import Piece
from rtdemo.protocol.event_stream import EventParser

STREAM = st.text(alphabet="\r\n:adtie \ufeffé", max_size=60).map(str.encode)


def test_lines_keep_what_clients_drop() -> None:
    """Names, comments, ends of lines and the rest without an end."""
    found = split([Piece(1.0, b"\xef\xbb\xbf: hi\r\nid: 1\rdata:a\n\nData: b\n\nda")])
    assert found.has_bom
    assert dict(found.line_ends) == {"CRLF": 1, "CR": 1, "LF": 4}
    assert [line.text for line in found.lines] == [b": hi", b"id: 1", b"data:a", b"Data: b"]
    assert [line.name for line in found.fields] == [b"id", b"data", b"Data"]
    assert [block.is_event for block in found.blocks] == [True, False]
    assert found.events[0].id == b"1"
    assert found.rest == b"da"


def test_line_and_event_have_the_time_of_their_end() -> None:
    """An LF that follows a CR in the next piece belongs to it."""
    pieces = [Piece(1.0, b"da"), Piece(2.0, b"ta: x\r"), Piece(3.0, b"\n"), Piece(4.0, b"\r\n")]
    (event,) = split(pieces).events
    assert (event.lines[0].at, event.at) == (2.0, 4.0)


def test_bytes_that_are_not_utf_8() -> None:
    """A character that is cut at the end may still be completed."""
    assert split([Piece(0, b"data: \xe9\n\n")]).bad_utf8 == b"data: \xe9\n\n"
    assert split([Piece(0, b"data: \xc3")]).bad_utf8 == b""
    assert split([Piece(0, b"data: \xc3"), Piece(1, b"\xa9\n\n")]).bad_utf8 == b""


@given(STREAM, st.integers(0, 60))
def test_events_are_those_of_a_browser(data: bytes, cut: int) -> None:
    """The other parser, which reads as browsers do, finds the same data."""
    parser = EventParser()
    expected = [event.data for event in parser.feed(data) + parser.feed(b"\n\n")]
    pieces = [Piece(0, data[:cut]), Piece(1, data[cut:]), Piece(2, b"\n\n")]
    assert [block.data for block in split(pieces).events] == expected
