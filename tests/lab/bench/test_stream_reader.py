"""bench's readers: bytes that rtdemo writes, however networks and proxies split them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdemo.lab.bench.stream_reader import ENDED, BodyReader, FrameReader, StreamEnd, StreamReader
from rtdemo.protocol import wire

PAYLOADS = [
    b'{"message":"a","sentAt":1.5}',
    b"{}",
    b'"' + b"x" * 200 + b'"',
    b'"' + b"y" * 70_000 + b'"',
]
FORMATS = {"websocket": wire.websocket_frame, "sse": wire.sse_chunk}
END = b"0\r\n\r\n"


def new(transport: str, written: list[bytes] | None = None) -> StreamReader:
    """Return a reader that writes into a list."""
    sink = written if written is not None else []
    return FrameReader(sink.append) if transport == "websocket" else BodyReader(chunked=True)


def read(transport: str, pieces: list[bytes]) -> list[bytes]:
    reader = new(transport)
    return [payload for piece in pieces if piece for payload in reader.feed(piece)]


@pytest.mark.parametrize("position", [None, "0123456789abcdef-7"])
def test_every_split_gives_the_same(transport: str, position: str | None) -> None:
    """Messages split at any byte are the same, with and without a position in the log."""
    small = PAYLOADS[:3]
    stream = b"".join(FORMATS[transport](payload, position) for payload in small)
    for cut in range(len(stream) + 1):
        assert read(transport, [stream[:cut], stream[cut:]]) == small


def test_every_length_of_frame_and_chunk(transport: str) -> None:
    """Messages with lengths of 7, 16 and 64 bits are read, one per piece and all in one."""
    pieces = [FORMATS[transport](payload) for payload in PAYLOADS]
    assert read(transport, pieces) == PAYLOADS
    assert read(transport, [b"".join(pieces)]) == PAYLOADS


@given(st.data())
def test_any_pieces_give_the_same(data: st.DataObject) -> None:
    """A stream split into any pieces gives the same messages."""
    for name, form in FORMATS.items():
        stream = b"".join(map(form, PAYLOADS[:3]))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert read(name, pieces) == PAYLOADS[:3]


def test_pings_are_answered_between_fragments() -> None:
    """The pong has the same payload, masked; a message in two frames is one message."""
    written: list[bytes] = []
    reader = new("websocket", written)
    assert reader.feed(b"\x01\x02ab" + b"\x89\x01p" + b"\x80\x02cd") == [b"abcd"]
    assert written == [b"\x8a\x81\0\0\0\0p"]


def test_a_close_is_answered_and_ends_the_stream() -> None:
    """A close frame is answered with its code; the message before it in the same bytes is not lost."""
    written: list[bytes] = []
    with pytest.raises(StreamEnd, match="the server closed with code 1001") as ended:
        new("websocket", written).feed(b"\x81\x01a\x88\x02\x03\xe9\x81\x01b")
    assert ended.value.payloads == [b"a"]
    assert written == [b"\x88\x82\0\0\0\0\x03\xe9"]


@pytest.mark.parametrize("frame", [b"\x81\x81\0\0\0\0a", b"\xc1\x01a", b"\x81\x7f" + b"\xff" * 8])
def test_invalid_frames_are_refused(frame: bytes) -> None:
    """A frame that is masked, uses an extension that was not negotiated, or is too long raises."""
    with pytest.raises(ValueError, match="a frame"):
        new("websocket").feed(frame)


def test_chunks_may_differ_from_events() -> None:
    """Proxies split events, or put several into one chunk; comments between them are skipped."""
    body = b"data: 1\n\n: ping\n\ndata: 2\nid: a-1\n\ndata: 3\n\n"
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:3], body[3:20], body[20:])]
    assert read("sse", chunks) == [b"1", b"2", b"3"]
    assert BodyReader(chunked=False).feed(body) == [b"1", b"2", b"3"]


def test_the_fast_path_continues_an_open_event() -> None:
    """A data line in its own chunk continues an event that has begun."""
    assert read("sse", [b"8\r\ndata: a\n\r\n", wire.sse_chunk(b"b")]) == [b"a\nb"]


def test_the_end_of_a_body_loses_no_event() -> None:
    """The last chunk ends the stream, after the events that arrived in the same bytes."""
    with pytest.raises(StreamEnd, match=ENDED) as ended:
        new("sse").feed(wire.sse_chunk(b"a") + wire.sse_chunk(b"b") + END)
    assert ended.value.payloads == [b"a", b"b"]


def test_a_body_with_a_length_ends_there() -> None:
    """A body with Content-Length ends after that many bytes, however they are split."""
    body = b"data: 1\n\ndata: 2\n\n"
    for cut in range(len(body)):
        reader = BodyReader(chunked=False, length=len(body))
        found = reader.feed(body[:cut])
        with pytest.raises(StreamEnd, match=ENDED) as ended:
            reader.feed(body[cut:] + b"data: 3\n\n")
        assert found + ended.value.payloads == [b"1", b"2"]


def test_invalid_chunks_are_refused() -> None:
    """A chunk without a size, or too large, raises."""
    for wrong in (b"zz\r\n", b"x" * 2000, b"-1\r\n", b"fffffffff\r\n"):
        with pytest.raises(ValueError, match=r"without a size|a chunk of"):
            new("sse").feed(wrong)


def test_empty_fragments_take_no_memory() -> None:
    """A hostile server may send them without end; a message of them alone is empty."""
    reader = FrameReader(lambda _: None)
    assert reader.feed(b"\x01\x00" + b"\x00\x00" * 1000) == []
    assert reader._parts == []
    assert reader.feed(b"\x80\x01x" + b"\x01\x00\x80\x00") == [b"x", b""]
