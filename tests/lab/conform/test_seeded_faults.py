"""Each fault of a server is found, and nothing else is reported."""

from __future__ import annotations

import asyncio

from rtdemo.lab.conform.checks import CHECKS
from rtdemo.lab.conform.exchange import Target
from tests.lab.conform.seeded_server import seeded
from tests.lab.conform.suite_run import codes, report_on

AT_ONCE = 25
"""Servers that are tested at the same time. They wait for most of their time."""
TIMING = {"head-at-once", "several-streams"}
"""Checks that a busy machine may fail, if they are not what the fault is about."""
FAULTS: dict[str, str] = {
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
    "id-fails": "empty-id-served huge-id-handled long-id-handled negative-id-handled special-id-handled unknown-id-served utf-8-id-served",
    "id-long": "id-length",
    "id-not-ascii": "id-ascii resume-not-lost",
    "id-null": "id-no-null",
    "id-refused": "resume-accepted unknown-id-served utf-8-id-served",
    "id-reset": "id-not-reset",
    "id-space": "id-no-outer-spaces",
    "identity-fails": "no-coding-acceptable",
    "ids-descend": "id-ascending resume-not-lost",
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
    "options-is-stream": "cors-preflight",
    "places-not-freed": "serves-after-leaving",
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
TWENTY = (
    *("bom", "stray-line", "retry-unit", "type-reserved", "mixed-ends", "unknown-field-name", "nginx"),
    *("charset", "fresh", "keep-alive-field", "no-allow", "two-hosts", "bad-host", "no-date-on-errors"),
    *("absolute-form", "accept-exact", "id-fails", "cors-wildcard", "gzip-not-flushed", "never-closes"),
)
"""Faults of one server. The server of a user has several, too."""


async def found_in(*faults: str, target: dict[str, object] | None = None) -> set[str]:
    """Return the checks that a server with these faults does not pass."""
    async with seeded(*faults) as server:
        return codes(await report_on(Target(server.url, **(target or {}))), "fail", "warn")  # type: ignore[arg-type]


async def test_server_without_faults_passes_everything() -> None:
    """And nearly everything can be tested on it."""
    async with seeded() as server:
        report = await report_on(Target(server.url))
    assert codes(report, "fail", "warn") - TIMING == set()
    assert len(codes(report, "pass")) >= 120
    assert len(CHECKS) >= 130


async def test_each_seeded_fault_is_found_and_nothing_else() -> None:
    """One server for each fault."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def found(faults: str) -> set[str]:
        async with turns:
            return await found_in(*faults.split("+"))

    results = dict(zip(FAULTS, await asyncio.gather(*map(found, FAULTS)), strict=True))
    expected = {faults: set(names.split()) for faults, names in FAULTS.items()}
    assert {faults: seen - (TIMING - expected[faults]) for faults, seen in results.items()} == expected


async def test_twenty_faults_of_one_server_are_found() -> None:
    """None hides another one."""
    expected = {name for fault in TWENTY for name in FAULTS[fault].split()}
    assert await found_in(*TWENTY) - TIMING == expected
    assert len(TWENTY) == 20


async def test_content_is_sent_once_the_server_asks_for_it() -> None:
    """Expect: 100-continue needs a request with content."""
    post = {"method": "POST", "content": b"{}"}
    assert "continue" not in await found_in("post", target=post)
    assert "continue" in await found_in("post", "no-continue", target=post)
