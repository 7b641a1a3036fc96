"""An HTTP/1.1 answer is parsed however it is split, and garbage ends it without a traceback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdemo.lab.token_stream.http1 import MAX_HEAD_BYTES, AnswerParser, InvalidAnswerError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\n"
ANSWERS = {
    "chunked": CHUNKED,
    "after 103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + CHUNKED,
    "with a length": HEAD + b"Content-Length: 11\r\n\r\nhello world",
    "until the close": b"HTTP/1.0 200 OK\n\nhello world",
}


def parse(data: bytes, *cuts: int) -> tuple[AnswerParser, bytes]:
    parser, body, start = AnswerParser(), b"", 0
    for cut in (*sorted(cuts), len(data)):
        body += parser.feed(data[start:cut])
        start = cut
    parser.end()
    return parser, body


@pytest.mark.parametrize("kind", ANSWERS)
@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_answer_may_be_split_anywhere(kind: str, cuts: list[int]) -> None:
    data = ANSWERS[kind]
    parser, body = parse(data, *(min(cut, len(data)) for cut in cuts))
    assert body == b"hello world"
    assert parser.is_complete
    assert parser.head is not None
    assert parser.head.status == 200


@pytest.mark.parametrize("kind", ["chunked", "with a length"])
def test_answer_that_is_cut_is_not_complete(kind: str) -> None:
    parser, _ = parse(ANSWERS[kind][:-3])
    assert not parser.is_complete


@pytest.mark.parametrize("status", [204, 304])
def test_answer_without_a_body_is_complete(status: int) -> None:
    parser, body = parse(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status)
    assert (parser.is_complete, body) == (True, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        CHUNKED.replace(b"5;x=1", b"zz"),
        CHUNKED.replace(b"hello\r\n", b"helloXX"),
        b"HTTP/1.1 200 " + b"x" * (MAX_HEAD_BYTES + 1),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidAnswerError):
        parse(data)


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED[:60]):
        try:
            parse(start + data)
        except InvalidAnswerError:
            continue
