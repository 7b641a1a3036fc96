"""Connections: their reuse and their end, several at a time, clients that leave, redirects."""

from __future__ import annotations

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
from rtdemo.lab.conform.exchange import CLOSE_TIMEOUT_S, Exchange, Request

SEVERAL = 6
"""Streams at the same time: as many as a browser opens to one HTTP/1.1 server, with the long one."""
LEAVING = 5
"""Clients that leave in each way."""
CLOSE_S = 2.0
"""Seconds for a connection to close after its last response."""
WAITED_S = 0.5
"""Seconds by which a second stream is later than the first, from which on it has waited."""
CONTINUE_S = 3.0
"""Seconds for which content is held back after Expect: 100-continue."""
SENT_LATER_S = 0.25
"""Longest time from the first head until the second request."""
SECOND, AFTER_LEAVING, REDIRECT = "second-stream", "after-leaving", "redirect-1"
KEEP_ALIVE, PIPELINE, EXPECT = "keep-alive", "pipeline", "expect-continue"


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
        count=2,
        until="event",
    ),
}
SECOND_STREAM = Request("while the first stream is open")
STREAM_AT_ONCE = Request(f"on {SEVERAL} connections at the same time", until="time", body_s=1.0)
LEAVES = (
    Request("by a client that leaves with RST", ends_with_reset=True),
    Request("by a client that leaves with FIN"),
)
"""Clients that leave as soon as they have the head, each `LEAVING` times."""
NEW_STREAM = Request(f"after {2 * LEAVING} clients have left", until="event")


def _closes(exchange: Exchange) -> Outcome:
    if not exchange.response.status:
        return untested(f"HEAD: {exchange.outcome}")
    if exchange.closed_at is None and not exchange.error:
        return missed(f"still open {CLOSE_S:.0f} s after the response")
    return met("closed after the response")


def _closes_as_announced(exchange: Exchange) -> Outcome:
    if "close" not in exchange.response.members("Connection"):
        return untested("the answer to HEAD has no Connection: close")
    if exchange.closed_at is None and not exchange.error:
        return missed(f"still open {CLOSE_TIMEOUT_S:.0f} s after a response with Connection: close")
    return met("closed after the response")


def _announces_close(exchange: Exchange) -> Outcome:
    if not exchange.response.status:
        return untested(f"HEAD: {exchange.outcome}")
    options = exchange.response.members("Connection")
    return met("Connection: close") if "close" in options else missed(f"Connection: {options or 'none'}")


def _answers_second(exchange: Exchange) -> Outcome:
    """Judge whether the second of two requests was answered, or the end was announced."""
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


def _reused(evidence: Evidence) -> Outcome:
    if evidence.head_has_content:
        return untested("the answer to HEAD has content")
    return _answers_second(evidence.exchanges[KEEP_ALIVE])


def _pipelined(evidence: Evidence) -> Outcome:
    if _reused(evidence).kind != "met":
        return untested("a connection takes no second request anyway")
    return _answers_second(evidence.exchanges[PIPELINE])


def _behind_stream(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges["request-behind-stream"]
    if evidence.response.broken:
        return untested("no stream of this server is intact")
    if not evidence.is_like_stream(exchange):
        return missed(exchange.outcome)
    if exchange.response.broken:
        return missed(f"the stream is not intact: {exchange.response.broken}")
    return met("the stream came as usual")


def _continue(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges[EXPECT]
    response = exchange.responses[0] if exchange.responses else None
    if response is not None and response.interim[:1] == [100]:
        return met("100 before the content")
    if response is not None and response.head_at is not None and response.head_at < CONTINUE_S:
        return met(f"{response.status} before the content")
    seen = f"neither 100 nor a final response in {CONTINUE_S:.0f} s, while the content was held back"
    return missed(seen)


def _second_stream(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges[SECOND]
    if evidence.is_one_at_a_time:
        return missed("no answer while the first stream was open")
    if evidence.is_like_stream(exchange):
        delay_s, first_s = exchange.response.head_at or 0.0, evidence.response.head_at or 0.0
        # The second request is sent a bit after the head of the first response.
        is_late = evidence.stream_ended and first_s + delay_s + SENT_LATER_S >= _end_s(evidence)
        # A server that only is slow has made the first client wait as well.
        if is_late and delay_s > first_s + WAITED_S:
            return missed(f"answered after {delay_s:.1f} s, when the first stream ended")
        if is_late and first_s + delay_s >= _end_s(evidence):
            return untested("the first stream had ended before")
        return met(f"{exchange.outcome} after {1000 * delay_s:.0f} ms")
    return missed(f"{exchange.outcome}, while the first stream was open")


def _end_s(evidence: Evidence) -> float:
    """Return when the server ended the stream, in seconds after its request."""
    closed_at, body = evidence.stream.closed_at, evidence.response.body
    return closed_at if closed_at is not None else body[-1].at if body else 0.0


def _several(evidence: Evidence) -> Outcome:
    found = [made for name, made in evidence.exchanges.items() if name.startswith("several-")]
    bad = [exchange for exchange in found if not evidence.is_like_stream(exchange)]
    limited = [exchange for exchange in bad if exchange.response.status in (429, 503)]
    if limited and len(limited) == len(bad):
        return untested(f"the server limits streams: {limited[0].outcome}")
    if bad:
        return missed(f"{len(bad)} of {len(found)} further streams: {bad[0].outcome}")
    slowest = max(exchange.response.head_at or 0 for exchange in found)
    return met(f"{SEVERAL} streams, each opened within {slowest * 1000:.0f} ms")


def _after_leaving(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges[AFTER_LEAVING]
    return met(exchange.outcome) if evidence.is_like_stream(exchange) else missed(exchange.outcome)


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
        "announced-close-kept",
        "connections",
        "MUST",
        rfc(9112, "9.6"),
        "After a response with Connection: close, the server closes the connection.",
        "Close the connection after the response, or leave Connection: close out of it.",
        exchange_judge("head", _closes_as_announced),
        probe="head",
    ),
    Check(
        "close-announced",
        "connections",
        "SHOULD",
        rfc(9112, "9.6"),
        "The response to a request with Connection: close has Connection: close.",
        "Send Connection: close in the last response of a connection.",
        exchange_judge("closing", _announces_close),
        probe="closing",
    ),
    Check(
        "connection-reused",
        "connections",
        "SHOULD",
        rfc(9112, "9.3"),
        "A connection takes a second request, or the first response has Connection: close.",
        "Keep the connection open, or announce its end; end the handler of HEAD after the head.",
        _reused,
        probe=KEEP_ALIVE,
    ),
    Check(
        "pipelining",
        "connections",
        "MUST",
        rfc(9112, "9.3.2"),
        "Two requests that arrive together are answered in order, or the end is announced.",
        "Read the second request from the bytes that came with the first.",
        _pipelined,
        probe=PIPELINE,
        control=KEEP_ALIVE,
    ),
    Check(
        "stream-intact-before-request",
        "connections",
        "MUST",
        rfc(9112, "9.3.2"),
        "A request that arrives behind that of the stream does not disturb the stream.",
        "Answer requests of one connection one after the other.",
        _behind_stream,
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
        _second_stream,
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
        _after_leaving,
        probe=AFTER_LEAVING,
        is_about_overload=True,
    ),
    Check(
        "stays-up",
        "connections",
        "SHOULD",
        rfc(9112, "2.2"),
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
