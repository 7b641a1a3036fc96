"""Requests are parsed alike however they are split, and refused at exact sizes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise

import pytest
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE
from hypothesis import example, given
from hypothesis import strategies as st

from rtdemo.web.request_parser import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_LINE_BYTES, RequestParser

GET = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n\r\n\r\nbody"
CHUNKED = (
    b"POST /%d HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\n\r\n\r\n\r\n0\r\n\r\n"
)


class Protocol(web.RequestHandler):
    """What aiohttp's parser needs of its protocol: nothing."""

    def __init__(self) -> None:
        """Be no connection."""

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Do nothing."""


def new_parser() -> RequestParser:
    loop = asyncio.get_running_loop()
    made = HttpRequestParser(
        Protocol(), loop, 2**16, max_line_size=MAX_LINE_BYTES, max_field_size=MAX_LINE_BYTES
    )
    return RequestParser(made)


def parse(segments: Iterable[bytes]) -> tuple[RequestParser, list[str]]:
    """Parse segments with a queue that is emptied at once; return the paths, and the error's code."""
    parser, paths = new_parser(), []
    for segment in segments:
        data: bytes | None = segment
        while data is not None:
            found, _, _ = parser.feed_data(data)
            for message, payload in found:
                parser.message_consumed()
                paths.append(message.path)
                payload.read_nowait()
            data = b"" if len(found) == MAX_MSG_QUEUE_SIZE else None
    return parser, paths


kinds = st.lists(st.sampled_from([GET, POST, CHUNKED]), min_size=1, max_size=6)


@example(kinds=[GET, CHUNKED], begun=0, cuts=[112])
@given(kinds=kinds, begun=st.integers(0, 20), cuts=st.lists(st.integers(0, 900), max_size=12))
def test_requests_are_the_same_however_they_are_split(
    kinds: list[bytes], begun: int, cuts: list[int]
) -> None:
    """All heads are found, and it is known whether another has begun."""
    data = b"".join(kind % number for number, kind in enumerate(kinds)) + GET[:begun]
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    segments = [data[at:stop] for at, stop in pairwise(places)]

    async def check() -> None:
        parser, paths = parse(segments)
        assert paths == [f"/{number}" for number in range(len(kinds))]
        assert parser.heads == len(kinds)
        assert parser.body is None
        # Behind a chunked body, a body with a length may pass for the beginning of a head.
        if begun or not (CHUNKED in kinds and kinds[-1] is POST):
            assert (parser.head_bytes > 0) == (begun > 0)

    asyncio.run(check())


async def test_all_requests_of_a_segment_are_parsed_as_the_queue_empties() -> None:
    """No more than aiohttp queues are handed over at once, and none is lost."""
    _, paths = parse([b"".join(GET % number for number in range(500))])
    assert paths == [f"/{number}" for number in range(500)]
    full = new_parser()
    found, _, _ = full.feed_data(b"".join(GET % number for number in range(500)))
    assert len(found) == MAX_MSG_QUEUE_SIZE
    assert full.feed_data(b"") == ([], False, b"")


@pytest.mark.parametrize("size", [1, 7, 1024, 70_000])
@pytest.mark.parametrize("before", [b"", GET % 0, POST % 0], ids=["new", "after GET", "after POST"])
async def test_head_is_refused_at_the_first_byte_over_the_limit(size: int, before: bytes) -> None:
    """A head of 64 KiB is parsed, however it is split; one byte more is 431."""
    if size == 1 and before:
        return
    line = b"X-Header: " + b"x" * 1000 + b"\r\n"
    head = b"GET /last HTTP/1.1\r\nHost: localhost\r\n" + line * 64
    head += b"X: " + b"x" * (MAX_HEAD_BYTES - len(head) - 7) + b"\r\n\r\n"
    assert len(head) == MAX_HEAD_BYTES
    for more, code in ((b"", 0), (b"x", 431)):
        data = before + head.replace(b"X: ", b"X: " + more)
        segments = [data[at : at + size] for at in range(0, len(data), size)]
        if not code:
            assert parse(segments)[1][-1] == "/last"
            continue
        with pytest.raises(HttpProcessingError) as refused:
            parse([*segments, b""])
        assert refused.value.code == code


async def test_nothing_is_parsed_after_an_error() -> None:
    """A request that follows one that is wrong is dropped, and counted."""
    parser = new_parser()
    with pytest.raises(HttpProcessingError):
        parser.feed_data(b"no request\r\n\r\n")
    assert parser.feed_data(GET % 1) == ((), False, b"")
    assert parser.dropped_bytes == len(GET % 1)


@pytest.mark.parametrize("framing", [b"Content-Length: 9000000", b"Transfer-Encoding: chunked"])
async def test_body_that_nobody_reads_ends_at_its_limit(framing: bytes) -> None:
    """Whoever waits for it gets an error; nothing more is parsed."""
    parser = new_parser()
    ((_, payload),), _, _ = parser.feed_data(
        b"POST / HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n"
    )
    piece = b"x" * 4096 if b"Length" in framing else b"1000\r\n" + b"x" * 4096 + b"\r\n"
    fed = 0
    while not parser.has_failed:
        parser.feed_data(piece)
        fed += len(piece)
    assert MAX_BODY_BYTES < fed <= MAX_BODY_BYTES + len(piece)
    assert str(payload.exception()).startswith("the body is over 1024 KiB")
    assert payload.is_eof()


WRONG = {
    "bytes in a header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: \xff\xfe\r\n\r\n", 400),
    "bytes in the path": (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a name that is not ASCII": ("GET / HTTP/1.1\r\nHost: é.example\r\n\r\n".encode(), 400),
    "an expectation": (b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: \xc3\xa9\r\n\r\n", 417),
    "a long header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"x" * 40_000 + b"\r\n\r\n", 431),
    "a long request line": (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    "200 headers": (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", 400),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_head_is_refused_in_one_line(name: str) -> None:
    """The line says what is wrong, without control characters."""
    data, code = WRONG[name]
    with pytest.raises(HttpProcessingError) as refused:
        new_parser().feed_data(data)
    assert refused.value.code == code
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 300


async def test_header_in_utf_8_is_served() -> None:
    """A proxy may add such headers, as Cloudflare does with the name of a city."""
    head = "GET / HTTP/1.1\r\nHost: localhost\r\nCF-IPCity: São Paulo\r\n\r\n".encode()
    ((message, _),), _, _ = new_parser().feed_data(head)
    assert message.headers["CF-IPCity"] == "São Paulo"
