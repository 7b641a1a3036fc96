"""One answer as it arrived: when, how many bytes, how many tokens, and how it ended."""

from __future__ import annotations

from typing import Literal, NamedTuple

from rtdemo.lab.content_coding import Decoder
from rtdemo.lab.http2_exchange import Head
from rtdemo.lab.server_clock import now
from rtdemo.lab.token_stream import token_format

MAX_ARRIVALS = 200_000
"""Arrivals that are kept of one answer."""
MAX_BYTES = 64 * 1024 * 1024
"""Bytes that are read of one answer."""
FIRST_BYTES = 2048
"""Bytes of the body that are kept, for the text of an error page."""
_MS_PER_S = 1000.0
_OK = range(200, 300)

Ending = Literal["", "complete", "cut", "silent", "too long"]
"""How an answer ended: not yet; whole; by the network; after our patience; over a limit of ours."""


class Arrival(NamedTuple):
    """One read that had bytes of the body.

    Arguments:
        at_s: seconds since the request was sent.
        wire_bytes: with the framing of HTTP.
        body_bytes: without it, and before decompression.
        events: that ended in these bytes.
        texts: of these, those with text of a token.
        is_whole: whether the bytes end between two events.
    """

    at_s: float
    wire_bytes: int
    body_bytes: int
    events: int
    texts: int
    is_whole: bool


class Recording:
    """One answer.

    Attributes:
        head: status and headers; None until they arrive.
        head_s: seconds from the request to the head.
        arrivals: of the body.
        ending: how it ended.
        ended_s: seconds from the request to the end.
        reason: of a cut, in a few words.
        end_marker: what ended the stream, such as `[DONE]`; empty if nothing did.
        error: text of an error that the server reports in the stream; empty for none.
        format: of the events; empty before the first byte.
        is_decoded: whether events can be counted; not in an unknown `Content-Encoding`.
        first_bytes: of the body.
        sent_at: time of the request, in ms of `server_clock.now()`.
    """

    def __init__(self) -> None:
        self.head: Head | None = None
        self.head_s = self.ended_s = 0.0
        self.arrivals: list[Arrival] = []
        self.ending: Ending = ""
        self.reason = self.end_marker = self.error = self.format = ""
        self.is_decoded = True
        self.first_bytes = b""
        self.sent_at = now()
        self._bytes = 0
        self._decoder = Decoder("")
        self._reader: token_format.BodyReader | None = None

    @property
    def status(self) -> int:
        """HTTP status; 0 before the head."""
        return self.head.status if self.head else 0

    @property
    def is_ok(self) -> bool:
        """Whether the status is of success."""
        return self.status in _OK

    def header(self, name: str) -> str:
        """Return the value of a header; empty if the answer has none."""
        headers = self.head.headers if self.head else []
        return next((value for given, value in headers if given.lower() == name), "")

    @property
    def coding(self) -> str:
        """Value of `Content-Encoding`; empty for none."""
        coding = self.header("content-encoding").strip().lower()
        return "" if coding == "identity" else coding

    @property
    def last_s(self) -> float:
        """Seconds from the request to the last byte so far."""
        return self.arrivals[-1].at_s if self.arrivals else self.head_s

    def take_head(self, head: Head, at: float) -> None:
        """Take the head of the answer, which arrived at `at` (ms of `server_clock.now()`)."""
        self.head, self.head_s = head, self._seconds(at)
        self._decoder = Decoder(self.coding)
        self.is_decoded = self._decoder.is_known

    def take(self, data: bytes, wire_bytes: int, at: float) -> None:
        """Take bytes of the body that arrived in one read.

        Arguments:
            data: the bytes; none if the read had only framing.
            wire_bytes: with the framing.
            at: time, in ms of `server_clock.now()`.
        """
        if self.ending or not data:
            return
        events = texts = 0
        try:
            decoded = self._decoder.feed(data)
            if len(self.first_bytes) < FIRST_BYTES:
                self.first_bytes += decoded[: FIRST_BYTES - len(self.first_bytes)]
            if self.is_decoded and self.is_ok:
                events, texts = self._count(decoded)
        except ValueError as error:
            self.end("too long" if "over" in str(error) else "cut", at, str(error))
            return
        is_whole = self._reader is None or self._reader.is_between_events
        arrival = Arrival(self._seconds(at), wire_bytes, len(data), events, texts, is_whole)
        self.arrivals.append(arrival)
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            self.end("too long", at, f"over {MAX_BYTES // 1024**2} MiB")
        elif len(self.arrivals) >= MAX_ARRIVALS:
            self.end("too long", at, f"over {MAX_ARRIVALS:,} parts")

    def end(self, ending: Ending, at: float, reason: str = "") -> None:
        """Take the end of the answer; a second end changes nothing."""
        if self.ending:
            return
        self.ending, self.ended_s, self.reason = ending, self._seconds(at), reason

    def _seconds(self, at: float) -> float:
        return (at - self.sent_at) / _MS_PER_S

    def _count(self, data: bytes) -> tuple[int, int]:
        """Return the number of events that end in decoded bytes, and of those with text."""
        if not data:
            return 0, 0
        if self._reader is None:
            self._reader = token_format.new_reader(self.header("content-type"), data)
            self.format = self._reader.name
        events = texts = 0
        for event in self._reader.feed(data):
            item = token_format.read(event)
            if not item.end or item.is_text:
                events += 1
            texts += item.is_text
            self.end_marker = item.end or self.end_marker
            self.error = self.error or item.error
        return events, texts
