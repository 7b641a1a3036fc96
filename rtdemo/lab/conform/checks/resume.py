"""Reconnects with `Last-Event-ID` (WHATWG HTML sections 9.2.3 and 9.2.4)."""

from __future__ import annotations

from collections.abc import Callable

from rtdemo.lab.conform.check import Check, Evidence, Outcome, met, missed, untested
from rtdemo.lab.conform.checks.framing import show
from rtdemo.lab.conform.checks.ids import event_ids
from rtdemo.lab.conform.clauses import html
from rtdemo.lab.conform.event_lines import Block, split
from rtdemo.lab.conform.exchange import Request

RESUME = "resume"
"""Name of the request that resumes after an event of the stream."""
RECONNECT = "reconnect"
"""Name of the request that repeats a stream which the server has ended."""
RESUME_S = 4.0
"""Seconds for the events that were missed to come again."""
MISSED_EVENTS = 2
"""Events that the suite claims to have missed."""
LONG_ID = "x" * 4000
_END_WORDS = ("[done]", "done", "end", "complete", "completed", "close", "finish", "finished", "stop")


def header_of(event_id: bytes) -> str:
    """Return the header line with an event ID: its bytes in UTF-8, as EventSource sends them."""
    return f"Last-Event-ID: {event_id.decode('latin-1')}"


PROBES = {
    "unknown-id": Request("with an id that the server never sent", lines=("Last-Event-ID: conform-1",)),
    "empty-id": Request("with an empty Last-Event-ID", lines=("Last-Event-ID:",)),
    "negative-id": Request("with `Last-Event-ID: -1`", lines=("Last-Event-ID: -1",)),
    "huge-id": Request("with a Last-Event-ID of 40 digits", lines=(f"Last-Event-ID: {'9' * 40}",)),
    "long-id": Request("with a Last-Event-ID of 4000 bytes", lines=(f"Last-Event-ID: {LONG_ID}",)),
    "utf-8-id": Request("with `Last-Event-ID: é☃` in UTF-8", lines=(header_of("é☃".encode()),)),
    "special-id": Request(
        "with quotes, brackets and percent signs in Last-Event-ID",
        lines=("""Last-Event-ID: "'><%00%0d%0a{}[];--/../\\""",),
    ),
}


def _not_broken(name: str, accepts_refusal: bool) -> Callable[[Evidence], Outcome]:
    """Return a judge that is content unless the server fails.

    Arguments:
        name: of the request.
        accepts_refusal: whether 4xx is right, too.
    """

    def judge(evidence: Evidence) -> Outcome:
        exchange = evidence.exchanges[name]
        status = exchange.response.status
        ok = 200 <= status < 300 or (accepts_refusal and 400 <= status < 500)
        return met(exchange.outcome) if ok else missed(exchange.outcome)

    return judge


def _accepted(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges[RESUME]
    seen = f"Last-Event-ID: {evidence.resumed_after}: {exchange.outcome}"
    return met(seen) if exchange.response.status in (200, 204) else missed(seen)


def _resumed(evidence: Evidence) -> tuple[list[bytes], list[Block]] | None:
    """Return the ids that were missed, and the events that came; None if nothing can be said."""
    exchange = evidence.exchanges[RESUME]
    if exchange.response.status != 200:
        return None
    after = evidence.resumed_after.encode()
    sent = event_ids(evidence)
    if after not in sent or len(set(sent)) < len(sent):
        return None
    came = [block for block in split(exchange.response.body).events if block.id]
    return sent[sent.index(after) + 1 :][:MISSED_EVENTS], came


_UNCLEAR = "the server did not resume, or its ids are not unique"


def _not_repeated(evidence: Evidence) -> Outcome:
    found = _resumed(evidence)
    if found is None:
        return untested(_UNCLEAR)
    after = evidence.resumed_after
    # The same id with other data is no repetition: a greeting may name the place of its client.
    named = {block.data for block in evidence.lines.events if block.id == after.encode()}
    if any(block.id == after.encode() and block.data in named for block in found[1]):
        return missed(f"after Last-Event-ID: {after}, the event {after} came again")
    return met(f"{len(found[1])} events with ids came after {after}, none of them twice")


def _not_lost(evidence: Evidence) -> Outcome:
    found = _resumed(evidence)
    if found is None:
        return untested(_UNCLEAR)
    expected = found[0]
    came = {block.id for block in found[1]}
    lost = [value for value in expected if value not in came]
    after = evidence.resumed_after
    if lost:
        return missed(
            f"after Last-Event-ID: {after}, {len(lost)} of {len(expected)} events did not come, such as"
            f" {show(lost[0])}, in {RESUME_S:.0f} s"
        )
    return met(f"after {after}, all {len(expected)} events that were missed came")


def _in_order(evidence: Evidence) -> Outcome:
    found = _resumed(evidence)
    if found is None:
        return untested(_UNCLEAR)
    sent = {value: place for place, value in enumerate(event_ids(evidence))}
    places = [sent[block.id] for block in found[1] if block.id in sent]
    if len(places) < 2:
        return untested("fewer than two events came again")
    return (
        met("in the same order") if places == sorted(places) else missed("in another order than before")
    )


def _stops(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges[RECONNECT]
    if exchange.response.status == 204:
        return met("204 to the reconnect")
    if not evidence.lines.events or not exchange.response.is_event_stream:
        return untested(f"the reconnect was answered: {exchange.outcome}")
    last = evidence.lines.events[-1]
    words = {last.data.strip().decode(errors="replace").lower()}
    words |= {
        value.decode(errors="replace").lower().rpartition(".")[2] for value in last.values(b"event")
    }
    if words & set(_END_WORDS):
        return met(f"the last event tells the client: {show(last.data)}")
    again = split(exchange.response.body).events
    if again and again[0].data == evidence.lines.events[0].data:
        return missed("the stream ended, and the reconnect got the same events again")
    return met("the reconnect got other events")


def _check(check_id: str, rule: str, fix: str, probe: str, accepts_refusal: bool = True) -> Check:
    judge = _not_broken(probe, accepts_refusal)
    return Check(check_id, "resume", "advice", html("9.2.4"), rule, fix, judge, probe)


_CLEAN = "Treat Last-Event-ID as untrusted text: what you cannot read is an unknown id."

CHECKS = (
    Check(
        "resume-accepted",
        "resume",
        "advice",
        html("9.2.4"),
        "A reconnect with an id that the server sent is answered 200, or 204 if nothing will follow.",
        "Accept every id that you send.",
        _accepted,
        RESUME,
        needs="ids",
    ),
    Check(
        "resume-not-lost",
        "resume",
        "advice",
        html("9.2.4"),
        "A server that sends ids sends the events after the one that Last-Event-ID names.",
        "Keep the last events, and send those after Last-Event-ID first. Or send no ids.",
        _not_lost,
        RESUME,
        needs="ids",
    ),
    Check(
        "resume-not-repeated",
        "resume",
        "advice",
        html("9.2.4"),
        "The event that Last-Event-ID names is not sent again.",
        "Begin after the event with this id. If each connection counts from 1, send no ids.",
        _not_repeated,
        RESUME,
        needs="ids",
    ),
    Check(
        "resume-in-order",
        "resume",
        "advice",
        html("9.2.4"),
        "Events that are sent again have the same order as before.",
        "Read them from your log in its own order.",
        _in_order,
        RESUME,
        needs="ids",
    ),
    _check(
        "unknown-id-served",
        "An id that the server does not know opens the stream: with 4xx, EventSource gives up for good.",
        "Begin at the present, and tell the client in an event that it may have missed some.",
        "unknown-id",
        accepts_refusal=False,
    ),
    _check("empty-id-served", "An empty Last-Event-ID opens the stream.", _CLEAN, "empty-id", False),
    _check(
        "negative-id-handled", "A negative number as id is no internal error.", _CLEAN, "negative-id"
    ),
    _check("huge-id-handled", "A number of 40 digits as id is no internal error.", _CLEAN, "huge-id"),
    _check("long-id-handled", "An id of 4000 bytes is no internal error.", _CLEAN, "long-id"),
    _check(
        "utf-8-id-served",
        "An id in UTF-8 opens the stream: EventSource sends ids so.",
        _CLEAN,
        "utf-8-id",
        accepts_refusal=False,
    ),
    _check(
        "special-id-handled", "Quotes and the like in an id are no internal error.", _CLEAN, "special-id"
    ),
    Check(
        "finite-stream-stops",
        "resume",
        "advice",
        html("9.2.1"),
        "A stream that has an end tells clients so: EventSource opens it again and again otherwise.",
        "Answer the reconnect with 204; or send a last event on which the page calls close().",
        _stops,
        RECONNECT,
    ),
)
