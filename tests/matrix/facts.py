"""Facts about one set-up, as an independent client measured them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

HELD_MS = 600.0
"""Milliseconds after which an event that has not arrived counts as held."""
STALL_SHARE = 0.6
"""Part of a delay without a byte from which it is one pause, and not a slow line."""
CLUMPED_MS = 25.0
"""Milliseconds of a delay that is the same for each small event."""


@dataclass
class EventFact:
    """How one event arrived.

    Arguments:
        size: its bytes.
        first_ms: from sending until its first byte; None if it never arrived.
        delay_ms: from sending until its last byte; None if it never arrived.
        stall_ms: longest time without a byte while it was on its way.
        released: what came just before its last byte: `` (nothing), `next` event, or `end`.
    """

    size: int
    first_ms: float | None = None
    delay_ms: float | None = None
    stall_ms: float = 0.0
    released: str = ""

    @property
    def is_held(self) -> bool:
        """Whether something kept it back while the line was free."""
        if self.delay_ms is None:
            return True
        # On a slow line, bytes come all the time.
        return self.delay_ms > HELD_MS and self.stall_ms > STALL_SHARE * self.delay_ms


@dataclass
class StreamFacts:
    """How an event stream came over one HTTP version.

    Arguments:
        status: of the answer; 0 without an answer.
        error: why there is no answer.
        headers: of the answer, names in lower case.
        open_ms: from the request until the head of the answer; None without one.
        events: of the script, in order.
        streams: of `STREAMS` opened at once, how many began.
        silent_cut_s: when a silent stream ended; None if it did not.
        silent_lost: whether a silent stream stayed open, but what came after the silence did not arrive.
        busy_cut_s: when a stream with an event each half second ended; None if it did not.
        is_cached: whether two requests had the same answer.
        large_encoding: content coding of a stream whose first event is large, as after a reconnect;
            some proxies decide by the size of the first write.
    """

    status: int = 0
    error: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    open_ms: float | None = None
    events: list[EventFact] = field(default_factory=list)
    streams: int | None = None
    silent_cut_s: float | None = None
    silent_lost: bool = False
    busy_cut_s: float | None = None
    is_cached: bool = False
    large_encoding: str = ""

    @property
    def is_open(self) -> bool:
        """Whether this is an event stream."""
        return self.status == 200 and "event-stream" in self.headers.get("content-type", "")

    @property
    def encoding(self) -> str:
        """Its content coding; empty for none."""
        return self.headers.get("content-encoding", "")

    @property
    def held(self) -> list[int]:
        """Sizes of the events that were held."""
        return [event.size for event in self.events if event.is_held]

    @property
    def clump_ms(self) -> float:
        """A delay that all small events share; 0 without one."""
        small = [event.delay_ms or 0.0 for event in self.events if event.size <= 1000]
        shared = min(small, default=0.0)
        return shared if CLUMPED_MS <= shared <= HELD_MS else 0.0

    @property
    def bytes_per_s(self) -> float:
        """Rate at which the largest event came; 0 if unknown."""
        large = max(self.events, key=lambda event: event.size, default=None)
        if large is None or large.delay_ms is None or large.first_ms is None or large.is_held:
            return 0.0
        return large.size / max(large.delay_ms - large.first_ms, 0.1) * 1000


@dataclass
class SocketFacts:
    """How a WebSocket came over one HTTP version.

    Arguments:
        is_offered: whether browsers would try it: over HTTP/2 only if the proxy's settings offer it.
        status: of the answer to the handshake; 101 or 200 if it is open, 0 without an answer.
        error: why there is no answer.
        subprotocol: that the answer chose.
        extensions: that the answer accepted.
        is_large_echoed: whether a text of 64 KiB came back.
        first_ms: from sending a text until its echo.
        silent_cut_s: when a silent socket ended; None if it did not.
        silent_lost: whether a silent socket stayed open, but a text after the silence had no echo.
        listening_cut_s: when a socket ended on which only the server sent; None if it did not.
        busy_cut_s: when a socket ended on which both sides sent; None if it did not.
    """

    is_offered: bool = True
    status: int = 0
    error: str = ""
    subprotocol: str = ""
    extensions: str = ""
    is_large_echoed: bool | None = None
    first_ms: float | None = None
    silent_cut_s: float | None = None
    silent_lost: bool = False
    listening_cut_s: float | None = None
    busy_cut_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it opened."""
        return self.status in (101, 200) and not self.error


@dataclass
class Facts:
    """All facts about one set-up.

    Arguments:
        certificate: empty for none or a good one, else `expired`, `name` or `untrusted`.
        alpn: protocol that TLS agreed on when both were offered.
        sse: by HTTP version, `1.1` and `2`.
        ws: by HTTP version.
        arrived: a request of HTTP/1.1 as the server received it: `version`, `host`, `forwarding`, and
            which of the headers that were sent are there.
        host: that was sent.
        post: statuses of texts posted for a stream, in order.
        large_post: status of a posted text of 60 KB.
        burst: statuses of requests in quick succession, and how many had each.
        round_trip_ms: of a request.
        own_origin: status of the WebSocket of rtdemo's own page, at a real rtdemo.
        foreign_origin: status of that of a foreign page.
        page: status of rtdemo's page.
        script: status of the page's script.
    """

    certificate: str = ""
    alpn: str = ""
    sse: dict[str, StreamFacts] = field(default_factory=dict)
    ws: dict[str, SocketFacts] = field(default_factory=dict)
    arrived: dict[str, Any] = field(default_factory=dict)
    host: str = ""
    post: list[int] = field(default_factory=list)
    large_post: int = 0
    burst: dict[int, int] = field(default_factory=dict)
    round_trip_ms: float = 0.0
    own_origin: int = 0
    foreign_origin: int = 0
    page: int = 0
    script: int = 0

    @classmethod
    def load(cls, fields: dict[str, Any]) -> Self:
        """Return facts from the JSON of an earlier run."""
        facts = cls(**fields)
        facts.sse = {
            version: StreamFacts(**{**stream, "events": [EventFact(**e) for e in stream["events"]]})
            for version, stream in fields["sse"].items()
        }
        facts.ws = {version: SocketFacts(**socket) for version, socket in fields["ws"].items()}
        facts.burst = {int(status): count for status, count in fields["burst"].items()}
        return facts
