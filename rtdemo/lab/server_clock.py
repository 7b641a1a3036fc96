"""Measure the offset of the server's clock, and its error.

A probe requests `/api/time`. The server reads its clock between the request and the response, so half of
that time is the largest error. Between probes the monotonic clock continues, and the error grows by the
frequency tolerance of RFC 5905 section 7.2. The page's measure/server_clock.js does the same.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from rtdemo.protocol.address import Address

PROBES = 10
"""Requests of one measurement."""
DRIFT = 15e-6
"""Growth of the error, as a share of the time that has passed (RFC 5905 section 7.2)."""
TIMEOUT_S = 5.0
SAME_CLOCK_ERROR_MS = 0.05
"""Largest difference of two readings of the same clock, taken one after the other."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The offset of the server's clock; all values are milliseconds.

    Arguments:
        offset: server time minus `now()`.
        error: plus or minus, at the time of the reading.
        at: time of the reading on the clock of `now()`.
    """

    offset: float
    error: float
    at: float

    def error_at(self, at: float) -> float:
        """Return the error, plus or minus, at an instant of `now()`."""
        return self.error + max(0.0, at - self.at) * DRIFT


def now() -> float:
    """Return milliseconds of the monotonic clock, which all processes of this machine share."""
    return time.perf_counter_ns() / 1e6


def choose(kept: Reading | None, fresh: Reading) -> Reading:
    """Return the reading with the smaller error; the fresh one if they contradict: a clock was set.

    Arguments:
        kept: earlier reading, if there is one.
        fresh: new reading.
    """
    if kept is None:
        return fresh
    aged = kept.error_at(fresh.at)
    if abs(kept.offset - fresh.offset) > aged + fresh.error:
        return fresh
    return fresh if fresh.error <= aged else kept


def same_clock() -> Reading:
    """Return a reading for a server on this machine without `/api/time`: it has the same clock."""
    at = now()
    return Reading(time.time_ns() / 1e6 - at, SAME_CLOCK_ERROR_MS, at)


async def measure(address: Address, kept: Reading | None = None, probes: int = PROBES) -> Reading | None:
    """Measure the server's clock, in a thread.

    Arguments:
        address: of the server.
        kept: earlier reading, if there is one.
        probes: number of requests.

    Returns:
        The best reading; None if there is none, because the server has no `/api/time`.
    """
    try:
        fresh = await asyncio.to_thread(_probe, address, probes)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return kept
    for reading in fresh:
        kept = choose(kept, reading)
    return kept


def _probe(address: Address, probes: int) -> list[Reading]:
    kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=TIMEOUT_S)
    try:
        connection.connect()
        path = urlsplit(address.url("/api/time")).path
        return [_probe_once(connection, path, address.headers) for _ in range(probes)]
    finally:
        connection.close()


def _probe_once(
    connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]
) -> Reading:
    before = now()
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    after = now()
    server = json.loads(answer.read())["now"]
    if answer.status != 200 or not isinstance(server, int | float):
        raise ValueError("/api/time returned no time")
    return Reading(server - (before + after) / 2, (after - before) / 2, after)
