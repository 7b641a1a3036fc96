"""Know the server's clock from here, with how far that may be wrong.

A probe asks `/api/time`. The answer was taken between the request and the answer's first bytes, so half
that time bounds the error. Between probes the monotonic clock goes on, and the error grows by the
frequency tolerance of RFC 5905 section 7.2. measure/server_clock.js does the same in the browser.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from dataclasses import dataclass

from rtdemo.lab.address import Address

PROBES = 10
DRIFT = 15e-6
TIMEOUT = 5.0
SAME_CLOCK_ERROR = 0.05
"""Milliseconds by which two readings of one machine's clock, taken one after the other, may differ."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Tell how the server's clock stands to this one's; milliseconds throughout.

    Arguments:
        offset: server time minus `now()`.
        error: plus or minus, when it was taken.
        at: `now()` when it was taken.
    """

    offset: float
    error: float
    at: float

    def error_at(self, at: float) -> float:
        """Return how far it may be wrong at an instant of `now()`."""
        return self.error + max(0.0, at - self.at) * DRIFT


def now() -> float:
    """Return milliseconds on the monotonic clock, the same in every process of this machine."""
    return time.perf_counter_ns() / 1e6


def choose(kept: Reading | None, fresh: Reading) -> Reading:
    """Return the surer of two readings, or the fresh one where both cannot be true: a clock was set."""
    if kept is None:
        return fresh
    aged = kept.error_at(fresh.at)
    if abs(kept.offset - fresh.offset) > aged + fresh.error:
        return fresh
    return fresh if fresh.error <= aged else kept


def same_clock() -> Reading:
    """Return the reading of a server on this machine that tells no time: its clock is this one's."""
    at = now()
    return Reading(time.time_ns() / 1e6 - at, SAME_CLOCK_ERROR, at)


async def measure(address: Address, kept: Reading | None = None, probes: int = PROBES) -> Reading | None:
    """Probe the server's clock several times, in a thread; None where it tells no time."""
    try:
        fresh = await asyncio.to_thread(_probe, address, probes)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return kept
    for reading in fresh:
        kept = choose(kept, reading)
    return kept


def _probe(address: Address, probes: int) -> list[Reading]:
    kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=TIMEOUT)
    try:
        connection.connect()
        return [_once(connection) for _ in range(probes)]
    finally:
        connection.close()


def _once(connection: http.client.HTTPConnection) -> Reading:
    before = now()
    connection.request("GET", "/api/time")
    answer = connection.getresponse()
    after = now()
    server = json.loads(answer.read())["now"]
    if answer.status != 200 or not isinstance(server, int | float):
        raise ValueError("/api/time told no time")
    return Reading(server - (before + after) / 2, (after - before) / 2, after)
