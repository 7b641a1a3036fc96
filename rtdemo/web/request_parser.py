"""Bound what a client sends as HTTP requests: the size of a head, the bytes of a body, their text.

aiohttp's parser bounds each line only: 128 headers of 32 KiB are 4 MiB. And it does not report that a
head has begun, so nothing can time it. The parser here stands before it. It hands over the bytes of one
head at a time, and of no more requests than aiohttp queues. So it knows where each head begins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs
from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, InvalidURLError, LineTooLong
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE

from rtdemo.errors import Refused, printable

if TYPE_CHECKING:
    Parsed = tuple[RawRequestMessage, StreamReader]

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request line and its headers together: browsers and proxies send under 16 KiB."""
MAX_LINE_BYTES = 32 * 1024
"""Bytes of a request line or a header. A `last_event_id` that is too long gets a helpful answer."""
MAX_BODY_BYTES = 1024 * 1024
"""Bytes that are read of a body. No handler takes more than 64 KiB of it; the rest is read and dropped,
so that a client that still sends can read its answer."""
PARSED_HEAD_BYTES = 8 * 1024
"""Bytes of a head that are parsed as they arrive, so that what is no HTTP gets its answer at once. The
rest is kept until the head is complete: parsed, it takes two to four times its size."""
MAX_FRAMING_BYTES = 16 * 1024
"""Bytes of a chunked body that are not its data: sizes, extensions and trailers. Each chunk costs time,
however short it is, and trailers are kept until the body's end."""
MAX_SHORT_CHUNKS_BYTES = 64 * 1024
"""More of these for short chunks, up to half of the data: a publisher sends its lines one by one, and
many may arrive before the handler that reads them begins."""
URI_TOO_LONG = 414
MAX_PATH_PARTS = 100
"""Slashes in a path: aiohttp's router looks up each beginning of a path that ends at one."""
MAX_PARAMETERS = 100
"""Parameters of a query: a stream keeps them all."""
CHUNKED_PIECE_BYTES = 4096
"""Bytes of a chunked body that are parsed at once; its end may be anywhere in them."""
_MAX_REASON_LENGTH = 200
_REQUEST_LINE = re.compile(r"b'[!#$%&*+.^_`|~0-9A-Za-z-]+ [^ ']+ HTTP/1\.[01]'")
"""A request line in the parser's error: only its method is wrong."""
_HEAD_END = b"\r\n\r\n"
_VERSIONS = (HttpVersion11, HttpVersion10)
"""Versions that are answered. The parser takes 0.9 and 2.0 too, which have other forms on the wire."""


class RequestError(HttpProcessingError):
    """A request that is refused before any handler sees it.

    Arguments:
        status: HTTP status of the answer.
        sentence: what is wrong and what to do, without a line break.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(code=status, message=sentence)


class RequestParser:
    """Parse a connection's requests within the limits, for aiohttp's `RequestHandler`.

    A head that exceeds one is refused by a `RequestError`, once the requests before it are handed over.
    Nothing is parsed after that: what arrives is counted and dropped.

    Arguments:
        parser: aiohttp's parser, which does the parsing.

    Attributes:
        heads: heads that were complete.
        head_bytes: bytes of the head that has begun; 0 while there is none.
        body: of the last request, while it is not complete.
        is_answered: whether the answer to that request is sent.
        is_unbounded: whether that body may be of any length: its handler reads it as a stream.
        has_failed: whether nothing more is parsed.
        exceeded: name of the limit for which it has failed; empty if it is none.
        dropped_bytes: bytes that arrived after that.
    """

    __slots__ = (
        "_body_bytes",
        "_body_left",
        "_error",
        "_is_paused",
        "_kept",
        "_last_bytes",
        "_parser",
        "_queued",
        "_waiting",
        "body",
        "dropped_bytes",
        "exceeded",
        "has_failed",
        "head_bytes",
        "heads",
        "is_answered",
        "is_unbounded",
    )

    def __init__(self, parser: HttpRequestParser) -> None:
        self._parser: Any = parser
        self.heads = 0
        self.head_bytes = 0
        self.body: StreamReader | None = None
        self.is_answered = self.is_unbounded = False
        self.has_failed = False
        self.exceeded = ""
        self.dropped_bytes = 0
        # Of the head that has begun: the last bytes, and what is not parsed yet.
        self._last_bytes = b""
        self._kept = bytearray()
        self._body_bytes = 0
        # Bytes that the body still has; None for a chunked one.
        self._body_left: int | None = 0
        self._error: HttpProcessingError | None = None
        # Requests that aiohttp has queued, and whether it has no room for more of a body. Meanwhile
        # what arrives waits.
        self._queued = 0
        self._is_paused = False
        self._waiting = b""

    @property
    def has_error(self) -> bool:
        """Whether the next `feed_data` raises an error."""
        return self._error is not None

    def feed_data(self, data: bytes) -> tuple[Sequence[Parsed], bool, bytes]:
        """Parse what has arrived.

        Arguments:
            data: the bytes; none to go on after a pause.

        Returns:
            The requests whose heads are complete; whether the protocol changes after the last of them;
            what has arrived after that.

        Raises:
            HttpProcessingError: the next request is refused.
        """
        if self.has_failed:
            self.dropped_bytes += len(data)
            self._raise_error()
            return (), False, b""
        if self._waiting:
            data, self._waiting = self._waiting + data, b""
        parsed: list[Parsed] = []
        upgraded, tail, at = False, b"", 0
        if self._is_paused:
            self._is_paused = False
            upgraded, tail = self._feed(b"", parsed)
        while at < len(data) and not (upgraded or self.has_failed):
            if self._is_paused or self._queued >= MAX_MSG_QUEUE_SIZE:
                self._waiting = data[at:]
                break
            at, piece = (
                self._body_piece(data, at) if self.body is not None else self._head_piece(data, at)
            )
            if piece and not self.has_failed:
                upgraded, tail = self._feed(piece, parsed)
        if not parsed:
            self._raise_error()
        return parsed, upgraded, tail + data[at:] if upgraded else b""

    def refuse(self, error: HttpProcessingError, exceeded: str = "") -> None:
        """Refuse the head that has begun, and parse nothing more.

        Arguments:
            error: raised by the next `feed_data`.
            exceeded: name of the limit that was exceeded.
        """
        self.has_failed = True
        self.exceeded = exceeded
        self.is_answered = False
        self._error = error
        self._end_head()

    def fail_body(self, error: Refused, exceeded: str = "") -> None:
        """Let whoever reads the body get an error, and parse nothing more.

        Arguments:
            error: raised by the next read. Once the answer is sent, nobody reads: the body ends.
            exceeded: name of the limit that was exceeded.
        """
        body, self.body = self.body, None
        self.has_failed = True
        self.exceeded = exceeded
        if body is not None:
            if not self.is_answered:
                body.set_exception(error)
            body.feed_eof()

    def message_consumed(self) -> None:
        """Note that a queued request is being handled."""
        self._queued = max(0, self._queued - 1)
        self._parser.message_consumed()

    def pause_reading(self) -> None:
        """Parse no more of the body until the next `feed_data`."""
        self._is_paused = True
        self._parser.pause_reading()

    def set_upgraded(self, value: bool) -> None:
        """Note whether the protocol has changed."""
        self._parser.set_upgraded(value)

    def _body_piece(self, data: bytes, at: int) -> tuple[int, bytes]:
        """Return where the part of a body ends that begins at a place of the data, and its bytes."""
        left = self._body_left
        stop = min(at + (CHUNKED_PIECE_BYTES if left is None else left), len(data))
        self._body_bytes += stop - at
        if self.is_unbounded:
            pass
        elif self._body_bytes > MAX_BODY_BYTES:
            error = Refused(413, f"the body is over {MAX_BODY_BYTES // 1024} KiB; send less")
            self.fail_body(error, "body_size")
        elif left is None and self._is_mostly_framing(stop - at):
            most = f"{MAX_FRAMING_BYTES // 1024} KiB"
            sentence = f"the body has over {most} of chunk sizes and trailers; send larger chunks"
            self.fail_body(Refused(413, sentence), "body_size")
        if left is not None:
            self._body_left = left - (stop - at)
        return stop, data[at:stop]

    def _is_mostly_framing(self, unparsed: int) -> bool:
        """Return whether a chunked body has too much that is not its data.

        Arguments:
            unparsed: bytes that are counted already, and not parsed yet.
        """
        data = self.body.total_bytes if self.body is not None else 0
        framing = self._body_bytes - unparsed - data
        return framing > MAX_FRAMING_BYTES + min(data // 2, MAX_SHORT_CHUNKS_BYTES)

    def _head_piece(self, data: bytes, at: int) -> tuple[int, bytes]:
        """Return where the part of a head ends that begins at a place of the data.

        Returns:
            The place, and the bytes to be parsed now. There may be none.
        """
        before = self._last_bytes
        if before:
            # The end may be split between two segments.
            found = (before + data[at : at + MAX_HEAD_BYTES]).find(_HEAD_END)
            end = at - len(before) + found
        else:
            found = end = data.find(_HEAD_END, at, at + MAX_HEAD_BYTES)
        stop = end + len(_HEAD_END) if found >= 0 else len(data)
        self.head_bytes += stop - at
        if self.head_bytes > MAX_HEAD_BYTES:
            sentence = f"the request line and its headers are over {MAX_HEAD_BYTES // 1024} KiB"
            self.refuse(RequestError(431, f"{sentence}; send fewer or shorter ones"), "head_size")
            return stop, b""
        piece = data[at:stop]
        if found >= 0:
            return stop, bytes(self._kept) + piece if self._kept else piece
        self._last_bytes = (before + piece[-3:])[-3:]
        room = max(0, PARSED_HEAD_BYTES - self.head_bytes + len(piece))
        if len(piece) > room:
            self._kept += piece[room:]
            piece = piece[:room]
        return stop, piece

    def _feed(self, piece: bytes, parsed: list[Parsed]) -> tuple[bool, bytes]:
        """Hand bytes to aiohttp's parser; return whether the protocol changes, and what follows."""
        had_body = self.body is not None
        try:
            found, upgraded, tail = self._parser.feed_data(piece)
        except (HttpProcessingError, ValueError) as error:
            # A ValueError comes from what the parser uses, such as yarl.
            self._refuse_what_is_wrong(error)
            return False, b""
        if self.body is not None and self.body.is_eof():
            self.body, self.is_answered = None, False
        for message, payload in found:
            wrong = _what_is_wrong(message)
            if wrong is not None:
                self.refuse(wrong, "target_size" if wrong.code == URI_TOO_LONG else "")
                return False, b""
            self.heads += 1
            self._queued += 1
            parsed.append((message, payload))
        if found:
            self._end_head()
            if not found[-1][1].is_eof():
                self._begin_body(*found[-1])
        if had_body:
            last = (self._last_bytes + piece[-4:])[-4:]
            self._last_bytes = last[-3:] if self.body is not None else b""
            if self.body is None and self._body_left is None and last != _HEAD_END:
                # A chunked body ends with an empty line. So this is the beginning of the next head. It
                # may also be a further request's body, all of it in this piece: a client that is idle
                # after that has 10 s instead of 75.
                self.head_bytes = 1
                self._last_bytes = piece[-3:]
        return bool(upgraded), bytes(tail)

    def _end_head(self) -> None:
        self.head_bytes = 0
        self._last_bytes = b""
        if self._kept:
            self._kept = bytearray()

    def _begin_body(self, message: RawRequestMessage, payload: StreamReader) -> None:
        self.body = payload
        self.is_unbounded = False
        self.is_answered = False
        self._body_bytes = 0
        # Some of it may have been parsed with the end of a chunked body before it.
        length = int(message.headers.get(hdrs.CONTENT_LENGTH, 0)) - payload.total_bytes
        self._body_left = None if message.chunked else length

    def _refuse_what_is_wrong(self, error: Exception) -> None:
        if self.body is not None:
            self.fail_body(Refused(400, f"the body cannot be read: {_reason(error)}; send it again"))
        elif isinstance(error, BadHttpMethod) and _REQUEST_LINE.search(error.message):
            self.refuse(RequestError(405, "the method is not known; send GET or POST"))
        elif isinstance(error, LineTooLong):
            sentence = f"the request line or a header is over {MAX_LINE_BYTES // 1024} KiB"
            self.refuse(RequestError(431, f"{sentence}; send a shorter one"), "head_size")
        else:
            self.refuse(
                RequestError(400, f"the request cannot be read: {_reason(error)}; send HTTP/1.1")
            )

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def _reason(error: Exception) -> str:
    """Return what the parser found, in part of a line. Its other lines repeat what the client sent."""
    if isinstance(error, InvalidURLError):
        return "the address is invalid"
    text = error.message if isinstance(error, HttpProcessingError) else str(error)
    return printable(text.split("\n", 1)[0][:_MAX_REASON_LENGTH]).rstrip(" :")


def _what_is_wrong(message: RawRequestMessage) -> RequestError | None:
    """Return why a request whose head could be parsed is refused; None if it is not."""
    if message.version not in _VERSIONS:
        return RequestError(400, "the request is not HTTP/1.1 or HTTP/1.0; send HTTP/1.1")
    path, _, query = message.path.partition("?")
    if path.count("/") > MAX_PATH_PARTS:
        return RequestError(
            URI_TOO_LONG, f"the path has over {MAX_PATH_PARTS} parts; send a shorter one"
        )
    if query.count("&") >= MAX_PARAMETERS:
        sentence = f"the query has over {MAX_PARAMETERS} parameters; send fewer"
        return RequestError(URI_TOO_LONG, sentence)
    for _, raw in message.raw_headers:
        if not raw.isascii():
            wrong = _what_is_not_text(message)
            if wrong is not None:
                return wrong
            break
    expected = message.headers.get(hdrs.EXPECT, "")
    if expected and expected.lower() != "100-continue":
        return RequestError(
            417, "the header 'Expect' may only be 100-continue (RFC 9110 section 10.1.1)"
        )
    return None


def _what_is_not_text(message: RawRequestMessage) -> RequestError | None:
    for name, value in message.headers.items():
        if not _is_text(value):
            return RequestError(400, f"the header {printable(name[:100])!r} is not UTF-8; send ASCII")
    if not message.headers.get(hdrs.HOST, "").isascii():
        return RequestError(400, "the header 'Host' is not ASCII; send the name in its ASCII form")
    return None


def _is_text(text: str) -> bool:
    """Return whether a text was UTF-8: the parser makes a lone surrogate of any other byte."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
