"""The parser of event streams: the examples of WHATWG HTML section 9.2.6, split anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdemo.protocol.event_stream import MAX_EVENT_BYTES, Event, EventParser


def parse(*pieces: bytes) -> list[Event]:
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "wanted"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event(b"YHOO\n+2\n10")]),
        (
            b": test\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [Event(b"first event", "1"), Event(b"second event"), Event(b" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [Event(b""), Event(b"\n")]),
        (b"data:test\n\ndata: test\n\n", [Event(b"test"), Event(b"test")]),
        (b"event: add\ndata: 7\n\ndata: 8\n\n", [Event(b"7", type="add"), Event(b"8")]),
        (b"event: add\n\ndata: 7\n\n", [Event(b"7")]),
        (b"id: 4\n\ndata: 7\n\n", [Event(b"7", "4")]),
        (b"id: 4\ndata: 7\n\nid: a\0b\ndata: 8\n\n", [Event(b"7", "4"), Event(b"8", "4")]),
        (b"\xef\xbb\xbfdata: 7\n\n", [Event(b"7")]),
        (b"unknown: 7\nretry: x\n\n", []),
    ],
)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_events(stream: bytes, wanted: list[Event], ending: bytes) -> None:
    """The events are the same for every line end, and if the network splits after each byte."""
    stream = stream.replace(b"\n", ending)
    # A CR at the end may be half of a CRLF, so the parser needs one more byte.
    assert parse(stream, b":") == wanted
    assert parse(*(stream[at : at + 1] for at in range(len(stream))), b":") == wanted


@given(st.lists(st.text(alphabet="a:\n\r datiev", max_size=30).map(str.encode), max_size=8))
def test_splits_make_no_difference(pieces: list[bytes]) -> None:
    """Any bytes in any pieces give the same events as in one piece."""
    assert parse(*pieces, b":") == parse(b"".join(pieces), b":")


def test_retry_is_kept() -> None:
    """The parser keeps a retry of digits."""
    parser = EventParser()
    parser.feed(b"retry: 1500\n")
    assert parser.retry == 1500


def test_an_endless_event_is_refused() -> None:
    """An event over the limit raises, in one line or in many."""
    with pytest.raises(ValueError, match="an event of over"):
        parse(b"data: " + b"x" * MAX_EVENT_BYTES)
    with pytest.raises(ValueError, match="an event of over"):
        parse(*[b"data: " + b"x" * 100_000 + b"\n"] * 50)
