"""Requests that the server must read, and those that it must refuse (RFC 9112)."""

from __future__ import annotations

from collections.abc import Callable

from rtdemo.lab.conform.check import (
    HTTP_1_0,
    Check,
    Evidence,
    Outcome,
    exchange_judge,
    met,
    missed,
    untested,
)
from rtdemo.lab.conform.clauses import rfc
from rtdemo.lab.conform.exchange import Exchange, Request

LONG_FIELD_BYTES = 20_000
"""Larger than some servers accept, and small enough to be read whole before the answer."""
LONG_TARGET_BYTES = 8000
"""RFC 9112 section 3: request lines of 8000 bytes are to be supported."""
MANY_FIELDS = 120


def _with_lower_case_names(head: bytes) -> bytes:
    first, *lines = head.split(b"\r\n")
    parts = [line.partition(b":") for line in lines]
    return b"\r\n".join([first, *(name.lower() + colon + value for name, colon, value in parts)])


def _with_odd_spaces(head: bytes) -> bytes:
    first, *lines = head.split(b"\r\n")
    odd = [
        line.replace(b": ", b":", 1) if n % 2 else line.replace(b": ", b": \t ", 1) + b" \t"
        for n, line in enumerate(lines)
        if line
    ]
    return b"\r\n".join([first, *odd, b"", b""])


def _with_long_target(head: bytes) -> bytes:
    line, end, rest = head.partition(b"\r\n")
    target, space, version = line.rpartition(b" ")
    missing = LONG_TARGET_BYTES - len(line)
    return b"".join((target, b"x" * missing, space, version, end, rest))


INVALID = {
    "no-host": Request("without Host", replaced={"Host": None}),
    "two-hosts": Request("with a second Host line", lines=("Host: conform.invalid",)),
    "bad-host": Request("with `Host: a b`", replaced={"Host": "a b"}),
    "space-before-colon": Request("with `X-Conform : 1`", lines=("X-Conform : 1",)),
    "folded": Request("with a header field in two lines", lines=("X-Conform: a\r\n b",)),
    "null": Request("with NUL in a header field", lines=("X-Conform: a\0b",)),
    "bad-length": Request(
        "with `Content-Length: abc`",
        lines=("Content-Length: abc",),
        has_content=False,
        replaced={"Content-Length": None},
    ),
    "unknown-coding": Request(
        "with `Transfer-Encoding: conform`",
        lines=("Transfer-Encoding: conform",),
        has_content=False,
        replaced={"Content-Length": None},
    ),
    "bad-method": Request("(GET), which is no method", method="(GET)", has_content=False),
}
"""Requests that break a rule. They are made last, one by one: they may end a server."""
PROBES = {
    HTTP_1_0: Request("by HTTP/1.0", version="1.0", until="event"),
    "empty-line-first": Request("after an empty line", before=b"\r\n"),
    "absolute-form": Request("with the whole URL in the request line", is_absolute=True),
    "lower-case": Request("with header names in lower case", rewrite=_with_lower_case_names),
    "odd-spaces": Request(
        "with no space, and with tabs, around header values", rewrite=_with_odd_spaces
    ),
    "unknown-fields": Request(
        "with unknown and empty header fields",
        lines=("X-Conform: 1", "X-Conform-Empty:", "!#$%&'*+.^_`|~: 1"),
    ),
    "many-fields": Request(
        f"with {MANY_FIELDS} further header fields",
        lines=tuple(f"X-Conform-{number}: 1" for number in range(MANY_FIELDS)),
    ),
    "long-field": Request(
        f"with a header field of {LONG_FIELD_BYTES} bytes",
        lines=(f"X-Conform: {'x' * LONG_FIELD_BYTES}",),
    ),
    "short-query": Request("with ?conform=x", query="conform=x"),
    "long-target": Request(
        f"with a request line of {LONG_TARGET_BYTES} bytes", query="conform=x", rewrite=_with_long_target
    ),
    "unknown-expectation": Request("with `Expect: conform`", lines=("Expect: conform",)),
}


def _refused(name: str, *statuses: int, note: str = "") -> Callable[[Evidence], Outcome]:
    """Return a judge that is content with one of these statuses."""

    def judge(exchange: Exchange) -> Outcome:
        seen = exchange.outcome + (f"; {note}" if note and exchange.response.status == 200 else "")
        return met(seen) if exchange.response.status in statuses else missed(seen)

    return exchange_judge(name, judge)


def _served(
    name: str, or_status: Callable[[int], bool] = lambda _: False
) -> Callable[[Evidence], Outcome]:
    """Return a judge that is content with the same answer as to the normal request.

    Arguments:
        name: of the request.
        or_status: which other statuses are right.
    """

    def judge(evidence: Evidence) -> Outcome:
        exchange = evidence.exchanges[name]
        response = exchange.response
        if response.status == evidence.response.status or or_status(response.status):
            return met(exchange.outcome)
        return missed(f"{exchange.outcome}; without this: {evidence.response.status}")

    return judge


def _is_client_error(status: int) -> bool:
    return 400 <= status < 500


def _null_refused(evidence: Evidence) -> Outcome:
    """Judge by RFC 9110 section 5.5, which names no status: closing the connection rejects, too."""
    exchange = evidence.exchanges["null"]
    if not exchange.response.status and (exchange.error or exchange.closed_at is not None):
        return met(exchange.outcome)
    return _served("null", _is_client_error)(evidence)


def _no_chunks_to_1_0(exchange: Exchange) -> Outcome:
    coding = exchange.response.value("Transfer-Encoding")
    if not exchange.response.status:
        return untested(exchange.outcome)
    return missed(f"Transfer-Encoding: {coding}") if coding else met("no Transfer-Encoding")


def _no_interim_to_1_0(exchange: Exchange) -> Outcome:
    interim = exchange.response.interim
    return missed(f"{interim[0]} before the response") if interim else met("none")


def _long_field(exchange: Exchange) -> Outcome:
    if not exchange.response.status and exchange.error:
        return untested(f"the connection broke, and with it perhaps an answer: {exchange.error}")
    status = exchange.response.status
    return (
        met(exchange.outcome) if status == 200 or _is_client_error(status) else missed(exchange.outcome)
    )


def _long_target(evidence: Evidence) -> Outcome:
    exchange, control = evidence.exchanges["long-target"], evidence.exchanges["short-query"]
    if control.response.status != evidence.response.status:
        return untested(f"a short unknown query is refused too: {control.outcome}")
    same = exchange.response.status == evidence.response.status
    return met(exchange.outcome) if same else missed(exchange.outcome)


_PARSER_FIX = "Use a newer or stricter HTTP parser, or refuse such a request before it is handled."
_LENIENT = "two servers may read such a request differently"

CHECKS = (
    Check(
        "http-1.0-served",
        "request",
        "advice",
        rfc(9110, "2.5"),
        "A client that uses HTTP/1.0, as old proxies do, gets the stream.",
        "Answer HTTP/1.0 with a body that ends as the connection closes.",
        _served(HTTP_1_0, lambda status: status == 505),
        probe=HTTP_1_0,
    ),
    Check(
        "no-chunks-to-http-1.0",
        "request",
        "MUST",
        rfc(9112, "6.1"),
        "A response to HTTP/1.0 has no Transfer-Encoding.",
        "Send chunks only to clients that use HTTP/1.1.",
        exchange_judge(HTTP_1_0, _no_chunks_to_1_0),
        probe=HTTP_1_0,
    ),
    Check(
        "no-interim-to-http-1.0",
        "request",
        "MUST",
        rfc(9110, "15.2"),
        "No 1xx response is sent to HTTP/1.0.",
        "Send 100, 102 and 103 only to clients that use HTTP/1.1.",
        exchange_judge(HTTP_1_0, _no_interim_to_1_0),
        probe=HTTP_1_0,
    ),
    Check(
        "host-required",
        "request",
        "MUST",
        rfc(9112, "3.2"),
        "A request without Host is answered 400.",
        "Refuse HTTP/1.1 requests without Host with 400.",
        _refused("no-host", 400),
        probe="no-host",
    ),
    Check(
        "one-host",
        "request",
        "MUST",
        rfc(9112, "3.2"),
        "A request with two Host lines is answered 400.",
        "Refuse requests with several Host lines with 400.",
        _refused("two-hosts", 400, note=_LENIENT),
        probe="two-hosts",
    ),
    Check(
        "host-valid",
        "request",
        "MUST",
        rfc(9112, "3.2"),
        "A request whose Host is no valid name is answered 400.",
        "Refuse a Host with a space or other forbidden characters with 400.",
        _refused("bad-host", 400),
        probe="bad-host",
    ),
    Check(
        "space-before-colon-refused",
        "request",
        "MUST",
        rfc(9112, "5.1"),
        "A space between the name of a header field and the colon is answered 400.",
        _PARSER_FIX,
        _refused("space-before-colon", 400, note=_LENIENT),
        probe="space-before-colon",
    ),
    Check(
        "folding-handled",
        "request",
        "MUST",
        rfc(9112, "5.2"),
        "A header field in two lines is answered 400, or read as one line.",
        _PARSER_FIX,
        _served("folded", lambda status: status == 400),
        probe="folded",
    ),
    Check(
        "null-handled",
        "request",
        "MUST",
        rfc(9110, "5.5"),
        "NUL in a header field is refused, or read as a space.",
        _PARSER_FIX,
        _null_refused,
        probe="null",
    ),
    Check(
        "invalid-length-refused",
        "request",
        "MUST",
        rfc(9112, "6.3"),
        "A Content-Length that is no number is answered 400.",
        _PARSER_FIX,
        _refused("bad-length", 400, note=_LENIENT),
        probe="bad-length",
    ),
    Check(
        "unknown-coding-refused",
        "request",
        "MUST",
        rfc(9112, "6.3"),
        "A Transfer-Encoding that is not chunked in the end is answered 400, or 501.",
        _PARSER_FIX,
        _refused("unknown-coding", 400, 501, note=_LENIENT),
        probe="unknown-coding",
    ),
    Check(
        "bad-method-refused",
        "request",
        "SHOULD",
        rfc(9112, "2.2"),
        "A request whose method is no token, such as (GET), is answered 400, or 501.",
        "Answer 400 and close the connection.",
        _refused("bad-method", 400, 501),
        probe="bad-method",
    ),
    Check(
        "empty-line-ignored",
        "request",
        "SHOULD",
        rfc(9112, "2.2"),
        "An empty line before the request is ignored.",
        "Skip CRLF before the request line.",
        _served("empty-line-first"),
        probe="empty-line-first",
    ),
    Check(
        "absolute-form",
        "request",
        "MUST",
        rfc(9112, "3.2.2"),
        "A request line with the whole URL is served like one with the path.",
        "Take path and query from the URL before routing.",
        _served("absolute-form"),
        probe="absolute-form",
    ),
    Check(
        "field-names-any-case",
        "request",
        "MUST",
        rfc(9110, "5.1"),
        "Header names are read in any case.",
        "Compare names of header fields without regard to case.",
        _served("lower-case"),
        probe="lower-case",
    ),
    Check(
        "optional-whitespace",
        "request",
        "MUST",
        rfc(9112, "5.1"),
        "Spaces and tabs around a header value, or none, make no difference.",
        "Strip spaces and tabs around header values.",
        _served("odd-spaces"),
        probe="odd-spaces",
    ),
    Check(
        "unknown-fields-ignored",
        "request",
        "SHOULD",
        rfc(9110, "5.1"),
        "Unknown header fields are ignored, whatever token their name is.",
        "Ignore header fields that you do not use.",
        _served("unknown-fields"),
        probe="unknown-fields",
    ),
    Check(
        "many-fields-handled",
        "request",
        "MUST",
        rfc(9110, "5.4"),
        f"A request with {MANY_FIELDS} more header fields is served, or answered with 4xx.",
        "Answer 431 above your limit.",
        _served("many-fields", _is_client_error),
        probe="many-fields",
    ),
    Check(
        "long-field-handled",
        "request",
        "MUST",
        rfc(9110, "5.4"),
        f"A header field of {LONG_FIELD_BYTES} bytes is accepted, or answered with 4xx.",
        "Answer 431 above your limit, before closing the connection.",
        exchange_judge("long-field", _long_field),
        probe="long-field",
    ),
    Check(
        "long-target",
        "request",
        "SHOULD",
        rfc(9112, "3"),
        f"A request line of {LONG_TARGET_BYTES} bytes is accepted.",
        "Raise the limit of the request line.",
        _long_target,
        probe="long-target",
        control="short-query",
    ),
    Check(
        "unknown-expectation",
        "request",
        "advice",
        rfc(9110, "10.1.1"),
        "An unknown expectation is ignored, or answered 417.",
        "Ignore it, or answer 417.",
        _served("unknown-expectation", lambda status: status == 417),
        probe="unknown-expectation",
    ),
)
