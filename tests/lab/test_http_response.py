"""The strict reader of responses: what breaks a rule is recorded, whatever the segments are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdemo.lab.http_response import MAX_HEAD_BYTES, ResponseReader

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, *methods: str, is_closed: bool = True) -> ResponseReader:
    reader = ResponseReader(methods or ("GET",))
    reader.feed(data, 1.0)
    if is_closed:
        reader.feed_eof()
    return reader


def faults(data: bytes) -> list[str]:
    return [fault.code for fault in read(data).responses[0].faults]


def test_response_in_chunks() -> None:
    """With an extension and a trailer."""
    (response,) = read(CHUNKED + b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n").responses
    assert (response.status, response.version, response.is_complete) == (200, "1.1", True)
    assert b"".join(piece.data for piece in response.body) == b"abc"
    assert response.faults == []
    assert response.is_event_stream


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200\r\n\r\n", ["status-line"]),
        (b"HTTP/1.1  200 OK\r\n\r\n", ["status-line"]),
        (b"HTTP/2 200 OK\r\n\r\n", ["status-line"]),
        (b"http/1.1 200 OK\r\n\r\n", ["status-line"]),
        (b"HTTP/1.1 200 OK\n\n", ["line-end", "line-end"]),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", ["field-space"]),
        (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", ["field-name"]),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", ["field-name"]),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", ["fold"]),
        (b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n", ["field-value"]),
        (b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", ["field-value"]),
        (b"HTTP/1.1 200 OK\r\nDate: a\r\ndate: b\r\n\r\n", ["singleton"]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ["length"]),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            ["two-framings"],
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", ["transfer-coding"]),
        (b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", ["no-content"]),
        (b"HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ["no-content"]),
        (CHUNKED + b"3\nabc\r\n0\r\n\r\n", ["line-end"]),
        (CHUNKED + b"0x3\r\nabc\r\n", ["chunk"]),
        (CHUNKED + b" 3\r\nabc\r\n", ["chunk"]),
        (CHUNKED + b"2\r\nabc\r\n", ["chunk"]),
        (CHUNKED + b"\r\n", ["chunk"]),
        (b"ICY 200 OK\r\n\r\n", ["status-line"]),
    ],
)
def test_fault_is_recorded_once(data: bytes, expected: list[str]) -> None:
    """And nothing else."""
    assert faults(data) == expected


def test_responses_of_one_connection() -> None:
    """The answer to HEAD has no body; what follows the last response is excess."""
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    reader = read(data + data + b"helloX", "HEAD", "GET")
    assert [response.is_complete for response in reader.responses] == [True, True]
    assert reader.responses[1].body[0].data == b"hello"
    assert reader.excess == b"X"


@pytest.mark.parametrize("status", [204, 304])
def test_some_responses_have_no_body(status: int) -> None:
    """Whatever their length says."""
    (response,) = read(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status).responses
    assert (response.is_complete, response.body) == (True, [])


def test_cut_responses_are_not_complete() -> None:
    """Only a body without any framing ends with the connection."""
    for data in (CHUNKED + b"3\r\nabc\r\n", HEAD + b"Content-Length: 9\r\n\r\nabc", HEAD):
        assert not read(data).responses[0].is_complete
    assert read(HEAD + b"\r\nabc").responses[0].is_complete
    assert read(b"").responses == []


def test_sizes_are_bounded() -> None:
    """A head, a size of a chunk and faults without end."""
    assert read(HEAD + b"X" * MAX_HEAD_BYTES).responses[0].broken
    assert read(CHUNKED + b"1" * (MAX_HEAD_BYTES + 1)).responses[0].broken
    assert read(CHUNKED + b"f" * 17 + b"\r\n").responses[0].broken
    assert len(read(CHUNKED + b"1\r\na\n" * 1000).responses[0].faults) == 50
    assert len(read(b"HTTP/1.1 103 E\r\n\r\n" * 1000 + HEAD + b"\r\n").responses[0].interim) == 50


@given(st.lists(st.integers(0, 120), max_size=8))
def test_segments_make_no_difference(cuts: list[int]) -> None:
    """Cut anywhere, the same is read."""
    data = b"HTTP/1.1 103 E\r\n\r\n" + CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nrest"
    reader = ResponseReader(["GET"])
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for at, (begin, end) in enumerate(pairwise(edges)):
        reader.feed(data[begin:end], float(at))
    whole = read(data, is_closed=False)
    assert b"".join(piece.data for piece in reader.responses[0].body) == b"abcde"
    assert (reader.responses[0].interim, reader.excess) == ([103], b"rest")
    assert reader.responses[0].fields == whole.responses[0].fields
    assert reader.responses[0].faults == []


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_garbage_raises_nothing(segments: list[bytes]) -> None:
    """After a valid beginning, or from the start."""
    for begin in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED, CHUNKED + b"2\r\n"):
        reader = ResponseReader(["GET", "HEAD"])
        for segment in (begin, *segments):
            reader.feed(segment, 0.0)
        reader.feed_eof()
        assert len(reader.responses) <= 2
