"""Syntax and framing of all responses (RFC 9112, and the fields of RFC 9110 that every response has)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rtdemo.lab.conform.check import Check, Evidence, Outcome, met, missed, missed_by, untested
from rtdemo.lab.conform.clauses import html, rfc
from rtdemo.lab.http_response import Response

_IMF_FIXDATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9]"
    r" (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT",
    re.ASCII,
)
"""RFC 9110 section 5.6.7."""
_CONNECTION_FIELDS = ("Keep-Alive", "Proxy-Connection", "Upgrade", "TE")
"""Fields about the connection itself (RFC 9110 section 7.6.1)."""
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)"?', re.IGNORECASE)


def _responses(evidence: Evidence) -> Iterator[tuple[str, Response]]:
    """Yield all responses, each with the request in words."""
    for exchange in evidence.exchanges.values():
        for response in exchange.responses[: 1 if evidence.head_has_content else None]:
            yield exchange.sent, response


def _no_fault(*codes: str) -> Callable[[Evidence], Outcome]:
    """Return a judge that is content if no response has one of these faults."""

    def judge(evidence: Evidence) -> Outcome:
        count, faulty = 0, list[tuple[str, str]]()
        for sent, response in _responses(evidence):
            count += 1
            if seen := [fault.seen for fault in response.faults if fault.code in codes]:
                faulty.append((seen[0], sent))
        if faulty:
            seen_so = f"{faulty[0][0]}, and so in {len(faulty)} of {count} responses"
            return missed_by(faulty[0][1], seen_so)
        return met(f"{count} responses")

    return judge


def _media_type(evidence: Evidence) -> Outcome:
    response = evidence.response
    values = response.values("Content-Type")
    if not values:
        return missed("no Content-Type")
    kind = response.media_type
    return met(values[0]) if kind == "text/event-stream" else missed(values[0])


def _charset(evidence: Evidence) -> Outcome:
    value = evidence.response.value("Content-Type") or ""
    found = _CHARSET.search(value)
    if found is None:
        return met("no charset, so UTF-8")
    return met(value) if found[1].lower() == "utf-8" else missed(value)


def _dated(first: int, last: int) -> Callable[[Evidence], Outcome]:
    """Return a judge that is content if all responses with these statuses have a Date."""

    def judge(evidence: Evidence) -> Outcome:
        count, lacking = 0, list[tuple[str, str]]()
        for sent, response in _responses(evidence):
            if first <= response.status <= last and response.head_at is not None:
                count += 1
                if not response.values("Date"):
                    lacking.append((f"{response.status} {response.media_type}".rstrip(), sent))
        if lacking:
            return missed_by(
                lacking[0][1],
                f"{lacking[0][0]} without Date, and so in {len(lacking)} of {count} responses",
            )
        return met(f"{count} responses") if count else untested(f"no response from {first} to {last}")

    return judge


def _date_form(evidence: Evidence) -> Outcome:
    dates = [value for _, response in _responses(evidence) for value in response.values("Date")]
    bad = [value for value in dates if not _IMF_FIXDATE.fullmatch(value)]
    if not dates:
        return untested("no response has a Date")
    return missed(f"Date: {bad[0]}") if bad else met(dates[0])


def _framing(evidence: Evidence) -> Outcome:
    response = evidence.response
    if response.framing == "chunked":
        return met("chunked")
    if response.framing == "length":
        return untested("it has a Content-Length")
    if response.version == "1.0":
        return untested("the server speaks HTTP/1.0, which has no chunks")
    return missed("no Transfer-Encoding: the end of the stream and a broken connection look the same")


def _no_length(evidence: Evidence) -> Outcome:
    response = evidence.response
    length = response.value("Content-Length")
    if length is None:
        return met("none")
    if response.values("Transfer-Encoding"):
        return untested("it has a Transfer-Encoding, too")
    size = sum(len(piece.data) for piece in response.body)
    return missed(f"Content-Length: {length}; {size} bytes had arrived when the stream was left")


def _length_kept(evidence: Evidence) -> Outcome:
    count = 0
    for exchange in evidence.exchanges.values():
        for response in exchange.responses:
            if response.framing != "length":
                continue
            count += 1
            size = sum(len(piece.data) for piece in response.body)
            if exchange.closed_at is not None and not response.is_complete:
                length = response.value("Content-Length")
                return missed_by(exchange.sent, f"{size} bytes with Content-Length: {length}")
    return met(f"{count} responses") if count else untested("no response has a Content-Length")


def _last_chunk(evidence: Evidence) -> Outcome:
    response = evidence.response
    if response.framing != "chunked":
        return untested("the stream is not chunked")
    if not evidence.stream_ended and not response.is_complete:
        return untested("the server did not end the stream")
    if response.broken:
        return untested("the chunks are not valid")
    if response.is_complete:
        return met("the last chunk arrived")
    return missed("the server closed the connection without the last chunk of size 0")


def _no_excess(evidence: Evidence) -> Outcome:
    count = 0
    for exchange in evidence.exchanges.values():
        if exchange.response.status and exchange.response.framing != "none":
            count += 1
            if exchange.excess:
                return missed_by(exchange.sent, f"{exchange.excess[:60]!r} after the end")
    return met(f"{count} responses")


def _connection_options(evidence: Evidence) -> Outcome:
    count = 0
    for sent, response in _responses(evidence):
        count += 1
        options = response.members("Connection")
        for name in _CONNECTION_FIELDS:
            if response.values(name) and name.lower() not in options and options != ["close"]:
                return missed_by(sent, f"{name}: {response.value(name)}, and no {name} in Connection")
    return met(f"{count} responses")


def _version(evidence: Evidence) -> Outcome:
    version = evidence.response.version
    return (
        met(f"HTTP/{version}")
        if version == "1.1"
        else missed(f"HTTP/{version} to a request by HTTP/1.1")
    )


def _status(evidence: Evidence) -> Outcome:
    return met("200") if evidence.response.status == 200 else missed(str(evidence.response.status))


CHECKS = (
    Check(
        "status-200",
        "response",
        "MUST",
        html("9.2.3"),
        "The stream is answered with 200. With another status, EventSource gives up for good.",
        "Answer 200; or 204 to make clients stop; or redirect.",
        _status,
    ),
    Check(
        "content-type",
        "response",
        "MUST",
        html("9.2.3"),
        "Content-Type is text/event-stream. With another type, EventSource gives up for good.",
        "Send Content-Type: text/event-stream.",
        _media_type,
    ),
    Check(
        "charset",
        "response",
        "MUST",
        html("text/event-stream"),
        "A charset parameter, if there is one, is utf-8.",
        "Remove the charset from Content-Type.",
        _charset,
    ),
    Check(
        "status-line",
        "response",
        "MUST",
        rfc(9112, "4"),
        "A status line has version, status and, also without a reason, two spaces.",
        "Write `HTTP/1.1 200 OK` and CRLF.",
        _no_fault("status-line"),
    ),
    Check(
        "http-version",
        "response",
        "advice",
        rfc(9110, "6.2"),
        "A request by HTTP/1.1 is answered by HTTP/1.1, unless the server speaks only HTTP/1.0.",
        "Answer with HTTP/1.1; look for a setting of the server, or of a proxy before it.",
        _version,
    ),
    Check(
        "crlf",
        "response",
        "MUST",
        rfc(9112, "2.1"),
        "Lines of heads and chunks end with CRLF.",
        "Write CRLF at the end of each line of HTTP; in the events themselves, LF is right.",
        _no_fault("line-end"),
    ),
    Check(
        "field-names",
        "response",
        "MUST",
        rfc(9110, "5.1"),
        "Names of header fields are tokens, and a colon follows.",
        "Remove spaces and other separators from the names of header fields.",
        _no_fault("field-name"),
    ),
    Check(
        "field-colon",
        "response",
        "MUST",
        rfc(9112, "5.1"),
        "No space is between the name of a header field and its colon.",
        "Write the colon directly after the name.",
        _no_fault("field-space"),
    ),
    Check(
        "no-folding",
        "response",
        "MUST",
        rfc(9112, "5.2"),
        "No header field continues on a second line.",
        "Write each header field in one line.",
        _no_fault("fold"),
    ),
    Check(
        "field-values",
        "response",
        "MUST",
        rfc(9110, "5.5"),
        "Values of header fields have no control characters.",
        "Remove control characters from header fields.",
        _no_fault("field-value"),
    ),
    Check(
        "single-fields",
        "response",
        "MUST",
        rfc(9110, "5.3"),
        "Fields with one value, such as Content-Type and Date, are sent once.",
        "Send the field once; look for a proxy or middleware that adds it again.",
        _no_fault("singleton"),
    ),
    Check(
        "one-framing",
        "response",
        "MUST",
        rfc(9112, "6.2"),
        "No response has both Content-Length and Transfer-Encoding.",
        "Remove Content-Length from responses in chunks.",
        _no_fault("two-framings"),
    ),
    Check(
        "content-length-valid",
        "response",
        "MUST",
        rfc(9110, "8.6"),
        "Content-Length is one decimal number.",
        "Send the number of bytes once, in digits.",
        _no_fault("length"),
    ),
    Check(
        "content-length-kept",
        "response",
        "MUST",
        rfc(9110, "8.6"),
        "A body has as many bytes as its Content-Length states.",
        "Count the bytes that are sent, not the characters; or send chunks.",
        _length_kept,
    ),
    Check(
        "no-content-length-on-stream",
        "response",
        "advice",
        rfc(9112, "6.3"),
        "A stream has no Content-Length: its size is unknown while events are still to come.",
        "Remove Content-Length; look for middleware that collects the whole body before it sends any.",
        _no_length,
    ),
    Check(
        "stream-end-visible",
        "response",
        "SHOULD",
        rfc(9112, "6.3"),
        "The stream is sent in chunks, so that its end differs from a broken connection.",
        "Send Transfer-Encoding: chunked to HTTP/1.1 clients.",
        _framing,
    ),
    Check(
        "transfer-codings",
        "response",
        "MUST",
        rfc(9112, "6.1"),
        "Transfer-Encoding has known codings, and chunked at most once.",
        "Send Transfer-Encoding: chunked, once; look for a layer that adds it a second time.",
        _no_fault("transfer-coding"),
    ),
    Check(
        "chunks",
        "response",
        "MUST",
        rfc(9112, "7.1"),
        "Each chunk is its size in hexadecimal digits, CRLF, as many bytes, and CRLF.",
        "Let the HTTP library write the chunks; count bytes, not characters.",
        _no_fault("chunk"),
    ),
    Check(
        "last-chunk",
        "response",
        "MUST",
        rfc(9112, "7.1"),
        "A stream that the server ends has the last chunk, of size 0.",
        "End the response by the HTTP library's own means before closing the connection.",
        _last_chunk,
    ),
    Check(
        "nothing-after-the-end",
        "response",
        "MUST",
        rfc(9112, "6.3"),
        "No bytes follow a complete response.",
        "Count the bytes of the body, and write nothing after the last chunk.",
        _no_excess,
    ),
    Check(
        "no-content-without-framing",
        "response",
        "MUST",
        rfc(9110, "8.6"),
        "Responses with 1xx and 204 have no Content-Length and no Transfer-Encoding.",
        "Remove these fields from responses without content.",
        _no_fault("no-content"),
    ),
    Check(
        "connection-options",
        "response",
        "MUST",
        rfc(9110, "7.6.1"),
        "Fields about the connection, such as Keep-Alive and Upgrade, are named in Connection.",
        "Add the name to Connection, or remove the field.",
        _connection_options,
    ),
    Check(
        "date-present",
        "response",
        "MUST",
        rfc(9110, "6.6.1"),
        "Responses with 2xx and 3xx have a Date, unless the server has no clock.",
        "Send Date in each response.",
        _dated(200, 399),
    ),
    Check(
        "date-on-errors",
        "response",
        "MUST",
        rfc(9110, "6.6.1"),
        "Responses with 4xx have a Date too, also those to requests that the server cannot read.",
        "Send Date in each response; look at the HTTP library's own answer to bad requests.",
        _dated(400, 499),
    ),
    Check(
        "date-form",
        "response",
        "MUST",
        rfc(9110, "5.6.7"),
        "Date has the form Sun, 06 Nov 1994 08:49:37 GMT.",
        "Use the HTTP library's own Date, or the form IMF-fixdate in English and GMT.",
        _date_form,
    ),
)
