"""What the client accepts: media types and content codings (RFC 9110 section 12.5)."""

from __future__ import annotations

from collections.abc import Callable

from rtdemo.lab.conform.check import (
    Check,
    Evidence,
    Outcome,
    exchange_judge,
    met,
    missed,
    untested,
)
from rtdemo.lab.conform.clauses import rfc
from rtdemo.lab.conform.content import GZIP, gunzip
from rtdemo.lab.conform.event_lines import split
from rtdemo.lab.conform.exchange import Exchange, Request
from rtdemo.lab.content_coding import BROWSER_CODINGS
from rtdemo.lab.http_response import Response

GZIP_S = 4.0
"""Seconds to read the stream that may be compressed."""
HELD_BACK_S = 1.0
"""Seconds that a part of an event may wait in a compressor for the rest."""


def _accept(value: str | None) -> Request:
    words = "without Accept" if value is None else f"with Accept: {value}"
    return Request(words, replaced={"Accept": value})


def _encoding(value: str) -> Request:
    return Request(f"with Accept-Encoding: {value}", replaced={"Accept-Encoding": value})


PROBES = {
    "accept-any": _accept("*/*"),
    "accept-missing": _accept(None),
    "accept-range": _accept("text/*"),
    "accept-case": _accept("Text/Event-Stream"),
    "accept-list": _accept("text/html;q=0.5, text/event-stream;q=0.9"),
    "accept-other": _accept("image/png"),
    "gzip": Request(
        "with Accept-Encoding: gzip",
        replaced={"Accept-Encoding": "gzip"},
        until="encoded",
        body_s=GZIP_S,
    ),
    "browser-codings": _encoding(BROWSER_CODINGS),
    "unknown-coding-only": _encoding("conform"),
    "no-identity": _encoding("identity;q=0, *;q=0"),
}


def _as_normal(name: str, matches_all: bool = False) -> Callable[[Evidence], Outcome]:
    """Return a judge that is content with the same answer as to the normal request.

    Arguments:
        name: of the request.
        matches_all: whether its Accept prefers no type. Then the server may choose another one, such as
            a page for browsers (RFC 9110 section 12.1).
    """

    def judge(evidence: Evidence) -> Outcome:
        exchange = evidence.exchanges[name]
        if evidence.is_like_stream(exchange):
            return met(exchange.outcome)
        if matches_all and exchange.response.status == 200 and exchange.response.media_type:
            return untested(f"the server prefers other content: {exchange.outcome}")
        return missed(f"{exchange.outcome}; with Accept: text/event-stream: {evidence.stream.outcome}")

    return judge


def _not_a_server_error(exchange: Exchange) -> Outcome:
    status = exchange.response.status
    return met(exchange.outcome) if 200 <= status < 500 else missed(exchange.outcome)


def _vary_accept(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges["accept-other"]
    response, normal = exchange.response, evidence.response
    if response.status != 200 or response.media_type == normal.media_type:
        return untested("Accept selects no other content")
    cached = "no-store" not in normal.members("Cache-Control")
    if cached and not {"accept", "*"} & set(normal.members("Vary")):
        return missed(f"image/png is answered with {response.media_type}, and Vary does not name Accept")
    return met(f"Vary: {normal.value('Vary')}")


def _no_coding(response: Response) -> Outcome:
    coding = response.value("Content-Encoding")
    if coding is None or coding.strip().lower() == "identity":
        return met("not encoded")
    return missed(f"Content-Encoding: {coding}")


def _offered_coding(exchange: Exchange) -> Outcome:
    if not exchange.response.status:
        return untested(exchange.outcome)
    codings = exchange.response.members("Content-Encoding")
    offered = {*BROWSER_CODINGS.split(", "), "x-gzip", "identity"}
    bad = [coding for coding in codings if coding not in offered]
    return missed(f"Content-Encoding: {bad[0]}") if bad else met(", ".join(codings) or "not encoded")


def _only_known_coding(exchange: Exchange) -> Outcome:
    return _no_coding(exchange.response) if exchange.response.status else untested(exchange.outcome)


def _is_gzip(exchange: Exchange) -> bool:
    return exchange.response.members("Content-Encoding") in GZIP


def _gzip_valid(exchange: Exchange) -> Outcome:
    if not exchange.response.members("Content-Encoding"):
        return untested("the server does not compress the stream")
    if not _is_gzip(exchange):
        return untested(f"it has Content-Encoding: {exchange.response.value('Content-Encoding')}")
    if not exchange.response.body:
        return untested(f"no byte of the body arrived in {exchange.seconds:.0f} s")
    try:
        pieces = gunzip(exchange.response)
    except ValueError as error:
        return missed(f"the body {error}")
    return met(f"{sum(len(piece.data) for piece in pieces)} bytes decoded")


def _gzip_flushed(evidence: Evidence) -> Outcome:
    exchange = evidence.exchanges["gzip"]
    if not _is_gzip(exchange):
        return untested("the server does not compress the stream")
    plain = [block.at for block in evidence.lines.events if block.at is not None]
    expected = [at for at in plain if at < exchange.seconds - HELD_BACK_S]
    if not expected:
        return untested(f"the stream without compression had no event in {exchange.seconds:.0f} s")
    try:
        lines = split(gunzip(exchange.response))
    except ValueError as error:
        return untested(f"the body {error}")
    seen = f"{len(lines.events)} events compressed, {len(expected)} without compression"
    if not lines.events:
        return missed(f"{seen}, in {exchange.seconds:.0f} s")
    if lines.rest and exchange.seconds - lines.arrivals[-1] > HELD_BACK_S:
        return missed(f"{seen}; a part of the next event waits in the compressor")
    return met(seen)


def _vary_encoding(evidence: Evidence) -> Outcome:
    response = evidence.exchanges["gzip"].response
    if not response.members("Content-Encoding"):
        return untested("the server does not compress the stream")
    if "no-store" in response.members("Cache-Control"):
        return met("Cache-Control: no-store")
    vary = set(response.members("Vary"))
    return (
        met("Vary names it") if vary & {"accept-encoding", "*"} else missed("no Vary: Accept-Encoding")
    )


CHECKS = (
    Check(
        "accept-any",
        "negotiation",
        "SHOULD",
        rfc(9110, "12.5.1"),
        "`Accept: */*`, as curl sends it, gets the stream.",
        "Match the media ranges of Accept instead of comparing the text.",
        _as_normal("accept-any", matches_all=True),
        probe="accept-any",
    ),
    Check(
        "accept-missing",
        "negotiation",
        "SHOULD",
        rfc(9110, "12.5.1"),
        "A request without Accept gets the stream: it accepts everything.",
        "Read a missing Accept as */*.",
        _as_normal("accept-missing", matches_all=True),
        probe="accept-missing",
    ),
    Check(
        "accept-range",
        "negotiation",
        "advice",
        rfc(9110, "12.5.1"),
        "`Accept: text/*` gets the stream.",
        "Match the media ranges of Accept instead of comparing the text.",
        _as_normal("accept-range"),
        probe="accept-range",
    ),
    Check(
        "accept-case",
        "negotiation",
        "MUST",
        rfc(9110, "8.3.1"),
        "Media types in Accept are read in any case.",
        "Compare media types without regard to case.",
        _as_normal("accept-case"),
        probe="accept-case",
    ),
    Check(
        "accept-list",
        "negotiation",
        "advice",
        rfc(9110, "12.5.1"),
        "A list in Accept is read: text/event-stream with the highest weight gets the stream.",
        "Read Accept as a list with weights, whatever their order.",
        _as_normal("accept-list"),
        probe="accept-list",
    ),
    Check(
        "accept-other",
        "negotiation",
        "advice",
        rfc(9110, "12.5.1"),
        "An Accept without text/event-stream is ignored, or answered with 4xx such as 406.",
        "Answer 406, or send the stream.",
        exchange_judge("accept-other", _not_a_server_error),
        probe="accept-other",
    ),
    Check(
        "vary-accept",
        "negotiation",
        "SHOULD",
        rfc(9110, "12.5.5"),
        "If Accept selects the content, Vary names it: a cache could mix up page and stream.",
        "Send Vary: Accept, or Cache-Control: no-store.",
        _vary_accept,
        probe="accept-other",
    ),
    Check(
        "identity-respected",
        "compression",
        "SHOULD",
        rfc(9110, "12.5.3"),
        "With `Accept-Encoding: identity`, the stream is not compressed.",
        "Compress only with a coding that Accept-Encoding names.",
        lambda evidence: _no_coding(evidence.response),
    ),
    Check(
        "unknown-coding-not-used",
        "compression",
        "SHOULD",
        rfc(9110, "12.5.3"),
        "With an unknown coding alone in Accept-Encoding, the stream is not compressed.",
        "Compress only with a coding that Accept-Encoding names.",
        exchange_judge("unknown-coding-only", _only_known_coding),
        probe="unknown-coding-only",
    ),
    Check(
        "offered-coding",
        "compression",
        "SHOULD",
        rfc(9110, "12.5.3"),
        f"With `Accept-Encoding: {BROWSER_CODINGS}`, the stream has one of these codings, or none.",
        "Compress only with a coding that Accept-Encoding names.",
        exchange_judge("browser-codings", _offered_coding),
        probe="browser-codings",
    ),
    Check(
        "no-coding-acceptable",
        "compression",
        "advice",
        rfc(9110, "12.5.3"),
        "If Accept-Encoding excludes everything, the server sends the stream all the same, or 406.",
        "Answer 406, or send the stream.",
        exchange_judge("no-identity", _not_a_server_error),
        probe="no-identity",
    ),
    Check(
        "gzip-valid",
        "compression",
        "MUST",
        rfc(9110, "8.4"),
        "A stream with Content-Encoding: gzip is in gzip.",
        "Look for a layer that sets the field without compressing, or compresses twice.",
        exchange_judge("gzip", _gzip_valid),
        probe="gzip",
    ),
    Check(
        "gzip-flushed",
        "compression",
        "advice",
        rfc(9110, "8.4"),
        "A compressed stream delivers each event at once, and not a buffer at a time.",
        "Flush the compressor after each event (Z_SYNC_FLUSH), or do not compress streams.",
        _gzip_flushed,
        probe="gzip",
    ),
    Check(
        "vary-accept-encoding",
        "compression",
        "SHOULD",
        rfc(9110, "12.5.5"),
        "A stream that is compressed for some clients has Vary: Accept-Encoding.",
        "Send Vary: Accept-Encoding.",
        _vary_encoding,
        probe="gzip",
    ),
)
