"""Requests that no client sends: their answers, and the lines that they leave in the log."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Iterator
from contextlib import suppress

from tests.faults.attack import Figures
from tests.faults.peers import (
    ANSWER_TIMEOUT_S,
    connected,
    first_bytes,
    repeat,
    rest,
    status,
    try_to_send,
)
from tests.faults.target import Setup, Target

REQUESTS = 1700
HOST = b"Host: localhost"
ODD_BYTES = (
    b"\xed\xa0\x80",  # a surrogate in UTF-8
    b"\xff\xfe",
    b"\xe9",
    b"%1b%0a2026-01-01 00:00:00 ERROR forged",
    b"\x1b[31m",
    b"%00",
    b"\x7f",
    b"{0.__class__}",
    b"%(levelname)s",
    b"a" * 8000,
    b"",
    b"-1",
    b"99999999999999999999",
    b"bytes=5-2,9-",
    b"[::1",
    b"localhost:99999",
    b"100-continue",
    b"bearer \xff",
)
HEADERS = (
    *(b"Host", b"Expect", b"Authorization", b"Origin", b"Cookie", b"Range", b"Accept"),
    *(b"Content-Length", b"Content-Type", b"Content-Encoding", b"Transfer-Encoding", b"Connection"),
    *(b"Upgrade", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"Sec-WebSocket-Protocol"),
    *(b"Last-Event-ID", b"If-None-Match", b"If-Modified-Since", b"X-Forwarded-For", b"Forwarded"),
    *(b"Idempotency-Key", b"Referer", b"User-Agent"),
)
PATHS = (
    *(b"/", b"/view", b"/ws", b"/api/sse", b"/api/messages", b"/api/publish", b"/api/ticket"),
    *(b"/api/producers", b"/api/producers/x/enable", b"/api/stats", b"/api/time", b"/api/plugins"),
    *(b"/metrics", b"/healthz", b"/readyz", b"/static/", b"/api/probe/request", b"/api/sse?probe="),
)
QUERIES = (b"", b"?producers=", b"?speed=", b"?last_event_id=", b"?client=", b"?rewind=", b"?count=")
METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"G\xe9T")
FLOODS = {
    "no HTTP": b"\x16\x03\x01 what is this\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n" + HOST + b"\r\n: " + b"x" * 8000 + b"\r\n\r\n",
    "a long line": b"GET /" + b"x" * 60_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n\r\n",
    "an odd version": b"GET / HTTP/" + b"9" * 8000 + b"\r\n" + HOST + b"\r\n\r\n",
    "an odd method": b"\xe9" * 8000 + b" / HTTP/1.1\r\n" + HOST + b"\r\n\r\n",
    "an unknown path": b"GET /" + b"x" * 7000 + b" HTTP/1.1\r\n" + HOST + b"\r\n\r\n",
    "a static file": b"GET /static/" + b"x" * 8000 + b" HTTP/1.1\r\n" + HOST + b"\r\n\r\n",
    "producers": b"GET /api/sse?producers=" + b"x" * 7000 + b" HTTP/1.1\r\n" + HOST + b"\r\n\r\n",
    "an origin": b"GET /ws HTTP/1.1\r\n" + HOST + b"\r\nOrigin: http://" + b"x" * 7000 + b"\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
}
"""A request of each kind of error, many with text that an error could repeat."""
ATTACKERS = 4
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FORGED = re.compile(r"^2026-01-01 00:00:00 ERROR forged", re.MULTILINE)
_COUNT_OF_LINES = re.compile(r"\bmore\b.*\bin the last\b")
REPORT_S = 1.5
"""Time after which the log reports what it left out."""


def _drawn(number: int) -> Iterator[bytes]:
    """Draw requests, the same ones each time."""
    draw = random.Random(13)
    for _ in range(number):
        path = draw.choice(PATHS) + draw.choice((b"", b"", draw.choice(ODD_BYTES)))
        query = draw.choice(QUERIES)
        target = path + query + (draw.choice(ODD_BYTES) if query else b"")
        headers = {b"Host": b"localhost"}
        for _ in range(draw.randrange(4)):
            headers[draw.choice(HEADERS)] = draw.choice(ODD_BYTES)
        lines = [name + b": " + value for name, value in headers.items()]
        method = draw.choice(METHODS[:2] * 4 + METHODS)
        yield method + b" " + target + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


def _one_for_each_header() -> Iterator[bytes]:
    """Return the requests of the first attack: odd bytes in each header, and in paths."""
    for path in (b"/", b"/api/sse", b"/ws", b"/api/publish", b"/static/x.js"):
        for name in HEADERS:
            for value in ODD_BYTES[:3]:
                method = b"POST" if path == b"/api/publish" else b"GET"
                host = b"" if name == b"Host" else HOST + b"\r\n"
                yield (
                    method + b" " + path + b" HTTP/1.1\r\n" + host + name + b": " + value + b"\r\n\r\n"
                )
    for path in (b"/static/" + b"a" * 8000, b"/%1b%0a2026-01-01 00:00:00 ERROR forged", b"/static/%00"):
        yield b"GET " + path.replace(b" ", b"%20") + b" HTTP/1.1\r\n" + HOST + b"\r\n\r\n"


async def odd_bytes(setup: Setup) -> Figures:
    """Send bytes that are no text in each header, and in paths."""
    return await _send_each(setup, list(_one_for_each_header()))


async def drawn_requests(setup: Setup) -> Figures:
    """Send 1,700 requests that are drawn over all routes, methods and headers."""
    return await _send_each(setup, list(_drawn(REQUESTS)))


async def _send_each(setup: Setup, requests: list[bytes]) -> Figures:
    async with setup.server() as target:
        failed = 0
        for request in requests:
            code = status(await first_bytes(target.port, request))
            failed += 500 <= code < 600
        text = target.log_text()
        healthy, _ = await target.get("/healthz")
        return {
            "requests": len(requests),
            "answers 5xx": failed,
            "tracebacks": text.count("Traceback"),
            "forged lines": len(_FORGED.findall(text)),
            "control characters in the log": len(_CONTROL.findall(text)),
            "longest line": max(map(len, text.splitlines()), default=0),
            "status of /healthz": healthy,
        }


async def answers(setup: Setup) -> Figures:
    """Send one request of each kind of error; return the size of the largest answer."""
    async with setup.server() as target:
        sizes = []
        for request in FLOODS.values():
            async with connected(target, 1) as (peer,):
                await try_to_send(peer, request)
                with suppress(OSError, TimeoutError, AssertionError):
                    async with asyncio.timeout(ANSWER_TIMEOUT_S):
                        await peer.read_until(b"\r\n\r\n")
                sizes.append(len(await rest(peer, 0.5)))
        return {"largest answer": max(sizes), "without an answer": sizes.count(0)}


async def flood_of_errors(setup: Setup, kind: str) -> Figures:
    """Repeat one bad request on new connections, as fast as the server answers.

    Arguments:
        setup: starts the server.
        kind: of bad request.
    """

    async def attack(target: Target) -> None:
        async with connected(target, 1) as (peer,):
            await peer.send(FLOODS[kind])
            await peer.read_until(b"\r\n\r\n")

    return await _flood(setup, attack)


async def flood_of_connects(setup: Setup) -> Figures:
    """Open event streams and leave, again and again."""

    async def attack(target: Target) -> None:
        async with connected(target, 1) as (peer,):
            await peer.send(b"GET /api/sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await peer.read_until(b"\r\n\r\n")

    return await _flood(setup, attack)


async def _flood(setup: Setup, attack: object) -> Figures:
    assert callable(attack)
    async with setup.server() as target:
        logged = target.log.stat().st_size
        seconds = setup.seconds(3)
        start = time.monotonic()
        done = await repeat(lambda: attack(target), ATTACKERS, seconds)
        elapsed = time.monotonic() - start
        size = target.log.stat().st_size - logged
        await asyncio.sleep(REPORT_S)
        is_counted = bool(_COUNT_OF_LINES.search(target.log_text()))
        return {
            "log": size / 1024 / elapsed,
            "attacks": done / elapsed,
            # What leaves no line at all is not logged by design, such as a path that does not exist.
            "silent about the rest": bool(size) and not is_counted,
        }
