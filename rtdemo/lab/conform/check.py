"""A check: one rule, the clause that it is from, and how to judge a server by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from rtdemo.lab.conform import content
from rtdemo.lab.conform.event_lines import EventLines, split
from rtdemo.lab.conform.exchange import Exchange, Target
from rtdemo.lab.http_response import Response

Level = Literal["MUST", "SHOULD", "advice"]
Group = Literal[
    "framing",
    "fields",
    "ids",
    "retry",
    "resume",
    "timing",
    "response",
    "caching",
    "request",
    "negotiation",
    "compression",
    "methods",
    "cors",
    "connections",
    "redirects",
]
GROUPS: tuple[Group, ...] = get_args(Group)
LEVELS: tuple[Level, ...] = get_args(Level)
Needs = Literal["nothing", "bytes", "events", "ids"]
"""What a check needs of the long stream."""
STREAM = "stream"
"""Name of the exchange that reads the stream for the whole time."""
HTTP_1_0 = "http-1.0"
"""Name of the exchange in which the client speaks HTTP/1.0."""
_OVERLOADED = (429, 503)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a server keeps one rule.

    Arguments:
        kind: whether it keeps the rule.
        seen: what was seen, in one line; for "untested", why.
        sent: the request in words, if it is another than that of the check.
        figures: numbers, by names with units, such as `longestSilenceMs`.
    """

    kind: Literal["met", "missed", "untested"]
    seen: str
    sent: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


def met(seen: str, **figures: float) -> Outcome:
    """Return that the rule is kept."""
    return Outcome("met", seen, figures=figures)


def missed(seen: str, **figures: float) -> Outcome:
    """Return that the rule is broken."""
    return Outcome("missed", seen, figures=figures)


def missed_by(sent: str, seen: str) -> Outcome:
    """Return that the rule is broken by the answer to another request than that of the check."""
    return Outcome("missed", seen, sent)


def untested(why: str) -> Outcome:
    """Return that the rule could not be judged."""
    return Outcome("untested", why)


@dataclass
class Evidence:
    """All that was seen of a server.

    Attributes:
        target: the stream.
        exchanges: by the names of their requests.
        resumed_after: event ID with which the stream was opened again; empty if it was not.
        is_one_at_a_time: whether the server answers no second request while the stream is open.
        unanswered: requests after which no connection to the server was possible.
    """

    target: Target
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    resumed_after: str = ""
    is_one_at_a_time: bool = False
    unanswered: list[str] = field(default_factory=list)

    @property
    def stream(self) -> Exchange:
        """The exchange that reads the stream."""
        return self.exchanges[STREAM]

    @property
    def response(self) -> Response:
        """The response of the stream."""
        return self.stream.response

    @cached_property
    def lines(self) -> EventLines:
        """The stream in lines; none if it cannot be decoded. Ask once reading has ended."""
        return split(content.decoded(self.response) or ())

    @property
    def stream_ended(self) -> bool:
        """Whether the server ended the stream by itself, and not because a request ended the server."""
        ended = self.response.is_complete or self.stream.closed_at is not None
        return ended and not self.unanswered

    @property
    def head_has_content(self) -> bool:
        """Whether bytes follow the answer to HEAD: then nothing after it can be read."""
        head = self.exchanges.get("head")
        return head is not None and bool(head.excess)

    def is_like_stream(self, exchange: Exchange) -> bool:
        """Return whether a response has the status and the media type of the stream's."""
        response = exchange.response
        return (response.status, response.media_type) == (
            self.response.status,
            self.response.media_type,
        )

    def lack(self, needs: Needs) -> str:
        """Return what the stream lacks for a check, as a reason; empty if nothing."""
        if needs != "nothing" and content.decoded(self.response) is None:
            return f"the stream has Content-Encoding: {self.response.value('Content-Encoding')}"
        seconds = f"{self.stream.seconds:.0f} s"
        longer = "" if self.stream_ended else "; to listen longer, use --seconds"
        if needs == "bytes" and not any(self.lines.lines) and not self.lines.rest:
            return f"no line arrived in {seconds}{longer}"
        if needs in ("events", "ids") and not self.lines.events:
            return f"no event arrived in {seconds}{longer}"
        if needs == "ids" and not any(block.values(b"id") for block in self.lines.blocks):
            return "no event has an id"
        return ""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule.

    Arguments:
        id: stable name, in kebab case.
        group: subject.
        level: MUST if the clause demands it, or that clients give up the stream without it; SHOULD if
            it recommends it, or demands that clients ignore what breaks it; else "advice": ours.
        clause: where the rule is from.
        rule: what a server does that keeps it, in one sentence.
        fix: what to do if it does not, in one line.
        judge: judges by what was seen.
        probe: name of the request that it needs.
        needs: what it needs of the long stream.
        is_about_overload: whether 429 and 503 are judged, too. To other checks they say nothing.
        control: name of a second request, with which the judge compares the first; empty for none.
    """

    id: str
    group: Group
    level: Level
    clause: str
    rule: str
    fix: str
    judge: Callable[[Evidence], Outcome]
    probe: str = STREAM
    needs: Needs = "nothing"
    is_about_overload: bool = False
    control: str = ""

    def run(self, evidence: Evidence) -> Outcome:
        """Return whether a server keeps the rule."""
        exchange = evidence.exchanges.get(self.probe)
        if exchange is None or (self.control and self.control not in evidence.exchanges):
            return untested("the run was ended before this request")
        if exchange.skipped:
            return untested(exchange.skipped)
        if lack := evidence.lack(self.needs):
            return untested(lack)
        if self.group == "request" and evidence.response.version == "1.0" and self.probe != HTTP_1_0:
            return untested("the server speaks HTTP/1.0, which does not have this rule")
        is_limited = exchange.response.status in _OVERLOADED and not self.is_about_overload
        if is_limited and evidence.response.status == 200:
            return untested(f"the server limits requests: {exchange.outcome}")
        return self.judge(evidence)


def exchange_judge(name: str, judge: Callable[[Exchange], Outcome]) -> Callable[[Evidence], Outcome]:
    """Return a judge of one exchange.

    Arguments:
        name: of its request.
        judge: judges what came back.
    """
    return lambda evidence: judge(evidence.exchanges[name])
