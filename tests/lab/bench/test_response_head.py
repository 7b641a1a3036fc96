"""The head of a response, wherever the network splits it."""

from __future__ import annotations

import pytest

from rtdemo.lab.bench.response_head import MAX_HEAD_BYTES, HeadError, HeadReader

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nContent-Length: 12\r\n\r\n"


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_head_in_pieces_after_an_interim_response(size: int) -> None:
    reader, data = HeadReader(), b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    *before, head = [reader.feed(piece) for piece in pieces]
    assert before == [None] * len(before)
    assert head is not None
    assert (head.status, head.media_type, head.length) == (b"200 OK", b"text/event-stream", 12)
    assert (head.is_chunked, head.rest) == (False, b"")


def test_bytes_after_the_head_are_returned() -> None:
    head = HeadReader().feed(HEAD + b"data: a")
    assert head is not None
    assert head.rest == b"data: a"


@pytest.mark.parametrize("data", [b"220 mail", b"H\x00", b"HTTP/2", b"\x16\x03\x01", b"{"])
def test_other_protocol_is_seen_at_its_first_bytes(data: bytes) -> None:
    """Such a server may never send the end of a head."""
    with pytest.raises(HeadError, match="does not speak HTTP"):
        HeadReader().feed(data)


def test_head_has_a_limit() -> None:
    with pytest.raises(HeadError, match="over 32 KiB"):
        HeadReader().feed(b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES)


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        (b"Content-Length: 7", 7),
        (b"Content-Length: 7\r\nTransfer-Encoding: chunked", None),
        (b"Content-Length: -1", None),
        (b"Content-Length: 9999999999999999999", None),
        (b"X: y", None),
    ],
)
def test_length_of_the_body(fields: bytes, length: int | None) -> None:
    """Chunks have precedence (RFC 9112 section 6.3), and what is no number is ignored."""
    head = HeadReader().feed(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n")
    assert head is not None
    assert head.length == length
