"""Each fault of a server is found, and nothing else is reported."""

from __future__ import annotations

import asyncio
from ssl import SSLContext

import pytest

from rtdemo.lab.conform.checks import CHECKS
from rtdemo.lab.conform.exchange import Target
from rtdemo.lab.conform.report import Report
from tests.lab.conform.seeded_server import seeded
from tests.lab.conform.suite_run import codes, report_on
from tests.pauseless_loop import PauselessLoop

PARTS = 20
"""Parts of the servers; those of a part are tested at the same time, and wait for most of it. With more
of them in one process on a busy machine, a stream is late by more than the time that it is read for."""
MEASURED_PARTS = [pytest.param(n, marks=[pytest.mark.uncovered] if n > 7 else []) for n in range(PARTS)]
"""Coverage of some parts is measured: the others run nearly the same, and take twice as long with it."""
TIMING = {"head-at-once", "several-streams"}
"""Checks that a busy machine may fail, if they are not what the fault is about."""
FAULTS: dict[str, str] = {
    "busy": "retry-after",
    "cut": "not-cut",
    "field-name": "field-names",
    "bad-method-silent": "bad-method-refused",
    "head-silent": "head-answered",
    "large": "event-size",
    "long-field": "long-field-handled",
    "moves": "",
    "no-1.0": "http-1.0-served",
    "page": "vary-accept",
    "post+moves": "redirect-keeps-method",
    "shuffles": "resume-in-order",
    "absolute-form": "absolute-form",
    "accept-exact": "accept-any accept-case accept-list accept-missing accept-range",
    "accept-fails": "accept-other",
    "age": "no-age",
    "allow-incomplete": "allow-names-the-method",
    "any-method": "method-case unknown-method",
    "bad-content-length": "content-length-valid one-framing",
    "bad-host": "host-valid",
    "bad-length": "invalid-length-refused",
    "blank-line-first": "event-dispatched-at-once",
    "bom": "byte-order-mark id-present",
    "case": "field-names-any-case",
    "charset": "charset",
    "chunk-size": "chunks",
    "chunks-to-1.0": "no-chunks-to-http-1.0",
    "close-not-announced": "close-announced",
    "close-not-kept": "announced-close-kept close-honoured",
    "coding": "unknown-coding-refused",
    "coding-twice": "transfer-codings",
    "colon-space": "field-colon",
    "control-syntax": "cache-control-syntax no-transform not-from-cache",
    "cors-credentials-value": "cors-credentials-value",
    "cors-echo": "cors-vary",
    "cors-echo-credentials": "cors-not-any-origin-with-credentials",
    "cors-preflight": "cors-preflight",
    "cors-two": "cors-origin-value",
    "cors-wildcard": "cors-no-wildcard-with-credentials",
    "cr": "line-ends-uniform no-cr-alone",
    "date-form": "date-form",
    "dies": "stays-up",
    "empty-line": "empty-line-ignored",
    "excess": "nothing-after-the-end",
    "expectation": "unknown-expectation",
    "finite+no-last-chunk": "last-chunk",
    "finite+replays+no-ids": "finite-stream-stops id-present",
    "finite+truncated": "last-event-complete",
    "fold": "no-folding",
    "folding-fails": "folding-handled",
    "fresh": "not-fresh",
    "gzip-always": "identity-respected unknown-coding-not-used",
    "gzip-no-vary": "vary-accept-encoding",
    "gzip-not-flushed": "gzip-flushed",
    "gzip-not-gzip": "gzip-valid",
    "head-content": "head-no-content",
    "head-fields": "head-same-fields",
    "head-hangs": "close-honoured connection-reused",
    "id-fails": (
        "empty-id-served huge-id-handled long-id-handled negative-id-handled special-id-handled"
        " unknown-id-served utf-8-id-served"
    ),
    "id-long": "id-length",
    "id-not-ascii": "id-ascii resume-not-lost",
    "id-null": "id-no-null",
    "id-refused": "resume-accepted unknown-id-served utf-8-id-served",
    "id-reset": "id-not-reset",
    "id-space": "id-no-outer-spaces",
    "identity-fails": "no-coding-acceptable",
    "ids-descend": "id-ascending",
    "ids-repeat": "id-unique",
    "interim-to-1.0": "no-interim-to-http-1.0",
    "keep-alive-field": "connection-options",
    "late-head": "head-at-once",
    "latin-1": "utf-8",
    "length-on-stream": "no-content-length-on-stream",
    "length-with-204": "no-content-without-framing",
    "length-wrong": "content-length-kept",
    "lf-heads": "crlf",
    "many-fields": "many-fields-handled",
    "media-type": "content-type",
    "mixed-ends": "line-ends-uniform",
    "mixed-spaces": "space-after-colon",
    "never-closes": "close-honoured",
    "nginx": "no-nginx-buffering",
    "no-allow": "allow-with-405",
    "no-blank-line": "blank-line-ends-event",
    "no-cache-control": "no-transform not-from-cache",
    "no-data": "event-has-data",
    "no-date": "date-on-errors date-present",
    "no-date-on-errors": "date-on-errors",
    "no-head": "head-supported",
    "no-host": "host-required",
    "no-ids": "id-present",
    "no-reason": "status-line",
    "null-fails": "null-handled",
    "null-in-field": "field-values",
    "one-at-a-time": "second-stream",
    "one-request": "connection-reused",
    "options-is-stream": "options-is-no-stream",
    "places-not-freed": "serves-after-leaving",
    "post": "",
    "post+no-continue": "continue",
    "repeats": "resume-not-repeated",
    "retry-0": "retry-plausible",
    "retry-unit": "retry-digits",
    "short-target": "long-target",
    "silent-close": "connection-reused",
    "space-before-colon": "space-before-colon-refused",
    "space-in-name": "field-name-spaces",
    "stray-line": "stray-lines",
    "transform": "no-transform",
    "two-framings": "one-framing",
    "two-hosts": "one-host",
    "two-types": "single-fields",
    "two-types-of-event": "one-event-type",
    "type-reserved": "event-type-reserved",
    "type-space": "event-type-spaces",
    "unknown-coding": "identity-respected offered-coding unknown-coding-not-used",
    "unknown-field": "unknown-fields-ignored",
    "unknown-field-name": "field-names-known",
    "until-closed": "stream-end-visible",
    "upper-case": "field-name-case",
    "version-1.0": "http-version",
    "whitespace": "optional-whitespace",
    "wrapped": "not-wrapped-twice",
}
"""Seeded faults, joined by +, and the checks that find them."""
MOST_CHECKS, MOST_FOUND = 120, 100
TWENTY = (
    *("bom", "stray-line", "retry-unit", "type-reserved", "mixed-ends", "unknown-field-name", "nginx"),
    *("charset", "fresh", "keep-alive-field", "no-allow", "two-hosts", "bad-host", "no-date-on-errors"),
    *("absolute-form", "accept-exact", "id-fails", "cors-wildcard", "gzip-not-flushed", "never-closes"),
)
"""Faults of one server. The server of a user has several, too."""


CASES = {"": "", **FAULTS, "+".join(TWENTY): " ".join(FAULTS[fault] for fault in TWENTY)}
"""The first one is a server without faults."""


async def found_in(case: str) -> set[str]:
    """Return the checks that a server with these faults does not pass."""
    faults = case.split("+")
    request = ("POST", b"{}") if "post" in faults else ("GET", b"")
    async with seeded(*faults) as server:
        url = server.url.replace("/events", "/moved") if "moves" in faults else server.url
        report = await report_on(Target(url, *request))
    if not case:
        # Nearly everything can be tested on the server without faults.
        assert report.counts["pass"] >= MOST_CHECKS, codes(report, "not tested")
    return codes(report, "fail", "warn")


async def found_in_all(cases: list[str]) -> list[set[str]]:
    """Return what is found in each of several servers, which are tested at the same time."""
    return await asyncio.gather(*map(found_in, cases))


@pytest.mark.parametrize("part", MEASURED_PARTS)
def test_each_seeded_fault_is_found_and_nothing_else(part: int) -> None:
    """One server for each fault, one without faults, and one with twenty. No fault hides another one."""
    cases = list(CASES)[part::PARTS]
    with asyncio.Runner(loop_factory=PauselessLoop) as runner:
        results = dict(zip(cases, runner.run(found_in_all(cases)), strict=True))
    expected = {case: set(CASES[case].split()) for case in cases}
    assert {case: seen - (TIMING - expected[case]) for case, seen in results.items()} == expected


def test_stream_over_tls(server_context: SSLContext, client_context: SSLContext) -> None:
    """Nothing differs."""

    async def reported() -> Report:
        async with seeded(tls=server_context) as server:
            return await report_on(Target(server.url, tls=client_context))

    with asyncio.Runner(loop_factory=PauselessLoop) as runner:
        report = runner.run(reported())
    assert codes(report, "fail", "warn") - TIMING == set()
    assert report.counts["pass"] >= MOST_CHECKS


def test_enough_is_checked_and_seeded() -> None:
    """At least 70 checks; most of them find a seeded fault."""
    found = {name for names in FAULTS.values() for name in names.split()}
    assert len(CHECKS) >= 130
    assert len(TWENTY) == 20
    assert len(found) >= MOST_FOUND
