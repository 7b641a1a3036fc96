"""Connections: their reuse and their end, several at a time, clients that leave, redirects."""

from __future__ import annotations

from collections.abc import Callable

from rtdemo.lab.conform.check import (
    Check,
    Evidence,
    Outcome,
    exchange_judge,
    met,
    missed,
    missed_by,
    untested,
)
from rtdemo.lab.conform.clauses import html, rfc
from rtdemo.lab.conform.exchange import Exchange, Request

SEVERAL = 6
"""Streams at the same time: as many as a browser opens to one HTTP/1.1 server, with the long one."""
LEAVING = 5
"""Clients that leave in each way."""
CLOSE_S = 2.0
"""Seconds for a connection to close after its last response."""
SECOND, AFTER_LEAVING, REDIRECT = "second-stream", "after-leaving", "redirect-1"
KEEP_ALIVE, PIPELINE, EXPECT = "keep-alive", "pipeline", "expect-continue"


def _twice(head: bytes) -> bytes:
    return head + head


PROBES = {
    "closing": Request(
        "HEAD with Connection: close",
        method="HEAD",
        lines=("Connection: close",),
        until="close",
        body_s=CLOSE_S,
    ),
    "request-behind-stream": Request(
        "a second request directly after the first, on one connection",
        method="GET",
        rewrite=_twice,
        until="event",
    ),
}
SECOND_STREAM = Request("while the first stream is open")
STREAM_AT_ONCE = Request(f"on {SEVERAL} connections at the same time", until="time", body_s=1.0)
LEAVES = (
    *(Request("by a client that leaves with RST", ends_with_reset=True),) * LEAVING,
    *(Request("by a client that leaves with FIN"),) * LEAVING,
)
"""Clients that leave as soon as they have the head."""
NEW_STREAM = Request(f"after {len(LEAVES)} clients have left", until="event")


def _closes(exchange: Exchange) -> Outcome:
    if not exchange.response.status:
        return untested(f"HEAD: {exchange.outcome}")
    if exchange.closed_at is None and not exchange.error:
        return missed(f"still open {CLOSE_S:.0f} s after the response")
    return met("closed after the response")


def _says_close(exchange: Exchange) -> Outcome:
    if not exchange.response.status:
        return untested(f"HEAD: {exchange.outcome}")
    options = exchange.response.members("Connection")
    return met("Connection: close") if "close" in options else missed(f"Connection: {options or 'none'}")


def _second_answer(name: str) -> Callable[[Evidence], Outcome]:
    """Return a judge that is content if both requests were answered, or the end was announced."""

    def judge(exchange: Exchange) -> Outcome:
        first = exchange.response
        complete = [response for response in exchange.responses if response.head_at is not None]
        if not complete:
            return untested(f"HEAD: {exchange.outcome}")
        if len(complete) > 1:
            return met(f"{first.status}, then {complete[1].status}")
        if "close" in first.members("Connection") or first.version == "1.0":
            return met(f"{first.status} with Connection: close")
        if exchange.closed_at is not None:
            return missed(f"{first.status} without Connection: close; then the server closed")
        return missed(f"{first.status}, and no answer to the second request in {exchange.seconds:.0f} s")

    return exchange_judge(name, judge)


def _behind_stream(exchange: Exchange) -> Outcome:
    response = exchange.response
    if not response.is_event_stream:
        return missed(exchange.outcome)
    if response.broken:
        return missed(f"the stream is not intact: {response.broken}")
    return met("the stream came as usual")


def _continue(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges[EXPECT]
    response = exchange.responses[0] if exchange.responses else None
    if response is not None and response.interim[:1] == [100]:
        return met("100 before the content")
    if response is not None and response.head_at is not None and response.head_at < 3.0:
        return met(f"{response.status} before the content")
    return missed("neither 100 nor a final response in 3 s, while the content was held back")


def _second_stream(exchange: Exchange) -> Outcome:
    if exchange.response.is_event_stream:
        return met(f"{exchange.outcome} after {1000 * (exchange.response.head_at or 0):.0f} ms")
    return missed(f"{exchange.outcome}, while the first stream was open")


def _several(evidence: Evidence) -> Outcome:
    found = [evidence.exchanges[f"several-{number}"] for number in range(1, SEVERAL)]
    bad = [exchange for exchange in found if not exchange.response.is_event_stream]
    limited = [exchange for exchange in bad if exchange.response.status in (429, 503)]
    if limited and len(limited) == len(bad):
        return untested(
            f"the server limits streams: {len(limited)} of {SEVERAL - 1}: {limited[0].outcome}"
        )
    if bad:
        return missed(f"{len(bad)} of {SEVERAL - 1} further streams: {bad[0].outcome}")
    slowest = max(exchange.response.head_at or 0 for exchange in found)
    return met(f"{SEVERAL} streams, each opened within {slowest * 1000:.0f} ms")


def _after_leaving(exchange: Exchange) -> Outcome:
    return met(exchange.outcome) if exchange.response.is_event_stream else missed(exchange.outcome)


def _stays_up(evidence: Evidence) -> Outcome:
    if evidence.unanswered:
        return missed_by(
            " or ".join(evidence.unanswered), "no answer; after it, no connection was possible any more"
        )
    return met("reachable until the end of the run")


def _retry_after(evidence: Evidence) -> Outcome:
    limited = [e for e in evidence.exchanges.values() if e.response.status in (429, 503)]
    if not limited:
        return untested("no request was answered 429 or 503")
    bare = [exchange for exchange in limited if not exchange.response.values("Retry-After")]
    if bare:
        return missed_by(bare[0].sent, f"{bare[0].outcome} without Retry-After")
    return met(f"{len(limited)} responses")


def _location(exchange: Exchange) -> Outcome:
    value = exchange.response.value("Location")
    return (
        met(f"{exchange.response.status} to {value}") if value else missed(f"{exchange.response.status}")
    )


def _redirect_keeps_method(evidence: Evidence) -> Outcome:
    status = evidence.exchanges[REDIRECT].response.status
    if evidence.target.method in ("GET", "HEAD"):
        return met(f"{status} for GET")
    return met(str(status)) if status in (307, 308) else missed(f"{status}: clients repeat it as GET")


CHECKS = (
    Check(
        "close-honoured",
        "connections",
        "MUST",
        rfc(9112, "9.6"),
        "After a request with Connection: close, the server closes the connection behind the response.",
        "Close the connection after the response; end the handler of HEAD after the head.",
        exchange_judge("closing", _closes),
        probe="closing",
    ),
    Check(
        "close-announced",
        "connections",
        "SHOULD",
        rfc(9112, "9.6"),
        "The response to a request with Connection: close has Connection: close.",
        "Send Connection: close in the last response of a connection.",
        exchange_judge("closing", _says_close),
        probe="closing",
    ),
    Check(
        "connection-reused",
        "connections",
        "SHOULD",
        rfc(9112, "9.3"),
        "A connection takes a second request, or the first response has Connection: close.",
        "Keep the connection open, or announce its end; end the handler of HEAD after the head.",
        _second_answer(KEEP_ALIVE),
        probe=KEEP_ALIVE,
    ),
    Check(
        "pipelining",
        "connections",
        "MUST",
        rfc(9112, "9.3.2"),
        "Two requests that arrive together are answered in order, or the end is announced.",
        "Read the second request from the bytes that came with the first.",
        _second_answer(PIPELINE),
        probe=PIPELINE,
    ),
    Check(
        "stream-intact-before-request",
        "connections",
        "MUST",
        rfc(9112, "9.3.2"),
        "A request that arrives behind that of the stream does not disturb the stream.",
        "Answer requests of one connection one after the other.",
        exchange_judge("request-behind-stream", _behind_stream),
        probe="request-behind-stream",
    ),
    Check(
        "continue",
        "connections",
        "MUST",
        rfc(9110, "10.1.1"),
        "Expect: 100-continue is answered by 100, or by a final response, before the content comes.",
        "Send 100 before you read the content.",
        _continue,
        probe=EXPECT,
    ),
    Check(
        "second-stream",
        "connections",
        "advice",
        html("9.2.7"),
        "A second client is served while the first stream is open.",
        "Run the server asynchronously or with several threads: a stream must not take the only one.",
        exchange_judge(SECOND, _second_stream),
        probe=SECOND,
    ),
    Check(
        "several-streams",
        "connections",
        "advice",
        html("9.2.7"),
        f"{SEVERAL} streams are served at the same time.",
        "Raise the number of workers, or serve streams asynchronously.",
        _several,
        probe="several-1",
    ),
    Check(
        "serves-after-leaving",
        "connections",
        "advice",
        rfc(9112, "9.5"),
        f"After {LEAVING} clients left with RST and {LEAVING} with FIN, a new client gets the stream.",
        "End a handler whose client has left; its place must become free.",
        exchange_judge(AFTER_LEAVING, _after_leaving),
        probe=AFTER_LEAVING,
    ),
    Check(
        "stays-up",
        "connections",
        "MUST",
        html("9.2.3"),
        "The server can be reached after each request of this suite, also after invalid ones.",
        "See the server's log: a request has ended it, or made it hang.",
        _stays_up,
    ),
    Check(
        "retry-after",
        "connections",
        "advice",
        rfc(9110, "10.2.3"),
        "Responses with 429 and 503 have Retry-After.",
        "Send Retry-After with the seconds after which a retry can succeed.",
        _retry_after,
    ),
    Check(
        "redirect-location",
        "redirects",
        "SHOULD",
        rfc(9110, "10.2.2"),
        "A redirect has a Location.",
        "Send Location with the URL of the stream.",
        exchange_judge(REDIRECT, _location),
        probe=REDIRECT,
    ),
    Check(
        "redirect-keeps-method",
        "redirects",
        "advice",
        rfc(9110, "15.4"),
        "A stream that is the answer to POST is redirected by 307 or 308.",
        "Redirect with 307 or 308: after 301, 302 and 303, clients repeat the request as GET.",
        _redirect_keeps_method,
        probe=REDIRECT,
    ),
)
