"""Methods other than that of the stream (RFC 9110 section 9)."""

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
from rtdemo.lab.conform.clauses import rfc
from rtdemo.lab.conform.exchange import CLOSE_TIMEOUT_S, Exchange, Request

COMPARED = ("Content-Type", "Cache-Control", "Content-Encoding", "Vary")
"""Fields that HEAD is compared by: they do not depend on the content."""

PROBES = {
    "head": Request("HEAD", method="HEAD", until="close", body_s=CLOSE_TIMEOUT_S),
    "options": Request("OPTIONS", method="OPTIONS", until="event", body_s=2.0),
    "unknown-method": Request("CONFORM", method="CONFORM", until="event", body_s=2.0),
    "lower-case-method": Request("get", method="get"),
}


def _of_get(judge: Callable[[Exchange], Outcome]) -> Callable[[Evidence], Outcome]:
    """Return a judge of HEAD, which only a stream by GET has."""

    def judged(evidence: Evidence) -> Outcome:
        if evidence.target.method != "GET":
            return untested(f"the stream is the answer to {evidence.target.method}")
        return judge(evidence.exchanges["head"])

    return judged


def _head_supported(exchange: Exchange) -> Outcome:
    if not exchange.response.status:
        return untested(exchange.outcome)
    ok = 200 <= exchange.response.status < 400
    return met(exchange.outcome) if ok else missed(exchange.outcome)


def _head_answered(exchange: Exchange) -> Outcome:
    return met(exchange.outcome) if exchange.response.status else missed(exchange.outcome)


def _head_no_content(exchange: Exchange) -> Outcome:
    if not exchange.response.status:
        return untested(exchange.outcome)
    if exchange.excess:
        return missed(f"{len(exchange.excess)} bytes or more after the head: {exchange.excess[:40]!r}")
    return met("no byte after the head")


def _same_fields(evidence: Evidence) -> Outcome:
    if evidence.target.method != "GET":
        return untested(f"the stream is the answer to {evidence.target.method}")
    response = evidence.exchanges["head"].response
    if response.status != evidence.response.status:
        return untested(f"HEAD is answered {response.status}")
    for name in COMPARED:
        got, head = evidence.response.value(name), response.value(name)
        if got != head:
            return missed(f"{name}: {got or 'none'} by GET, {head or 'none'} by HEAD")
    return met(f"the same {', '.join(COMPARED)}")


def _unknown_method(exchange: Exchange) -> Outcome:
    status = exchange.response.status
    return met(exchange.outcome) if status in (501, 405) else missed(exchange.outcome)


def _case_of_method(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges["lower-case-method"]
    return missed(exchange.outcome) if exchange.response.is_event_stream else met(exchange.outcome)


def _allow(evidence: Evidence) -> Outcome:
    refused = [e for e in evidence.exchanges.values() if e.response.status == 405]
    bare = [exchange for exchange in refused if not exchange.response.values("Allow")]
    if not refused:
        return untested("no request was answered 405")
    if bare:
        return missed_by(bare[0].sent, "405 without Allow")
    return met(f"Allow: {refused[0].response.value('Allow')}")


def _allow_complete(evidence: Evidence) -> Outcome:
    method = evidence.target.method
    allows = [e.response for e in evidence.exchanges.values() if e.response.values("Allow")]
    if not allows:
        return untested("no response has Allow")
    for response in allows:
        if method.lower() not in response.members("Allow"):
            return missed(f"Allow: {response.value('Allow')}, without {method}")
    return met(f"Allow: {allows[0].value('Allow')}")


def _options(exchange: Exchange) -> Outcome:
    if exchange.response.is_event_stream:
        return missed("OPTIONS opens a stream, too")
    ok = (exchange.response.status and exchange.response.status < 500) or exchange.response.status == 501
    return met(exchange.outcome) if ok else missed(exchange.outcome)


CHECKS = (
    Check(
        "head-answered",
        "methods",
        "advice",
        rfc(9110, "9.3.2"),
        "HEAD is answered at once, and does not wait for an event.",
        "Answer HEAD with the head of the stream alone, or with 405.",
        _of_get(_head_answered),
        probe="head",
    ),
    Check(
        "head-supported",
        "methods",
        "SHOULD",
        rfc(9110, "9.1"),
        "HEAD is supported where GET is. The RFC demands it of general-purpose servers.",
        "Route HEAD to a handler that sends only the head.",
        _of_get(_head_supported),
        probe="head",
    ),
    Check(
        "head-no-content",
        "methods",
        "MUST",
        rfc(9110, "9.3.2"),
        "The answer to HEAD has no content.",
        "Send no events to HEAD.",
        _of_get(_head_no_content),
        probe="head",
    ),
    Check(
        "head-same-fields",
        "methods",
        "SHOULD",
        rfc(9110, "9.3.2"),
        "The answer to HEAD has the same header fields as that to GET.",
        "Make both answers by the same code.",
        _same_fields,
        probe="head",
    ),
    Check(
        "unknown-method",
        "methods",
        "SHOULD",
        rfc(9110, "9.1"),
        "An unknown method is answered 501, or 405.",
        "Answer methods that the server does not know with 501, and others with 405 and Allow.",
        exchange_judge("unknown-method", _unknown_method),
        probe="unknown-method",
    ),
    Check(
        "method-case",
        "methods",
        "SHOULD",
        rfc(9110, "9.1"),
        "The method is case-sensitive: `get` is not GET.",
        "Compare the method as it is.",
        _case_of_method,
        probe="lower-case-method",
    ),
    Check(
        "allow-with-405",
        "methods",
        "MUST",
        rfc(9110, "15.5.6"),
        "A response with 405 has Allow.",
        "Send Allow with the methods of the stream.",
        _allow,
        probe="unknown-method",
    ),
    Check(
        "allow-names-the-method",
        "methods",
        "advice",
        rfc(9110, "10.2.1"),
        "Allow names the method that opens the stream.",
        "Add it to Allow.",
        _allow_complete,
        probe="unknown-method",
    ),
    Check(
        "options-is-no-stream",
        "methods",
        "advice",
        rfc(9110, "9.3.7"),
        "OPTIONS is answered at once, and opens no stream.",
        "Answer OPTIONS with 204 and Allow, or with 405.",
        exchange_judge("options", _options),
        probe="options",
    ),
)
