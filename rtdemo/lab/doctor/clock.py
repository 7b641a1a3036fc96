"""Measure the server's clock and the round trip, over the path that the other requests take."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from rtdemo.lab.doctor.context import Context, ok
from rtdemo.lab.doctor.errors import NETWORK_ERRORS, Diagnosis, NotTestedError, decode_json, time_of
from rtdemo.lab.server_clock import PROBES, Reading, choose, now

MAX_CLOCK_OFFSET_MS = 1000.0
"""Milliseconds between the two clocks from which a warning is printed."""
MEASURE_TIMEOUT_S = 15.0
"""Seconds for all requests of one measurement."""
MAX_BODY_BYTES = 4096
"""Bytes of an answer that are read: the server may be any."""


async def measure(context: Context) -> Reading | None:
    """Return the best reading of the server's clock; None if `/api/time` is not available.

    The round trip and the fastest message are noted too.
    """
    kept = context.clock
    seen: set[float] = set()
    try:
        async with asyncio.timeout(MEASURE_TIMEOUT_S), context.open_session(keeps=True) as http:
            for number in range(PROBES + 1):
                reading, fastest, trip, server = await _measure_once(context, http)
                if server in seen:
                    context.time_is_cached = True
                    return kept
                seen.add(server)
                # The first request may open a connection.
                if number or not context.round_trip:
                    kept = choose(kept, reading)
                    context.note_delay(fastest)
                    shortest = min(context.round_trip or trip, trip)
                    context.round_trip = shortest if number > 1 else trip
    except (TimeoutError, *NETWORK_ERRORS):
        return kept
    return kept


async def _measure_once(
    context: Context, http: aiohttp.ClientSession
) -> tuple[Reading, float, float, float]:
    before = now()
    async with http.get(context.url("/api/time"), headers={"Accept-Encoding": "identity"}) as answer:
        after = now()
        text = b""
        async for data in answer.content.iter_any():
            text += data
            if len(text) > MAX_BODY_BYTES:
                raise ValueError("is too long for a time")
    server = time_of(decode_json(text)["now"])
    if answer.status != 200 or server is None:
        raise ValueError("returned no time")
    reading = Reading(server - (before + after) / 2, (after - before) / 2, after)
    return reading, after - server, after - before, server


async def offset(context: Context) -> Diagnosis:
    """Report how far the server's clock is from the local one."""
    reading = await measure(context)
    if context.time_is_cached:
        for version in context.versions:
            context.require("sse", version)
        seen = "/api/time answers twice with the same time: a cache answers for rtdemo"
        return context.fault("api-cached", seen, "cached")
    if reading is None:
        raise NotTestedError("/api/time did not answer with a time")
    context.clock = reading
    ahead = reading.offset + now() - time.time_ns() / 1e6
    side = "ahead of" if ahead >= 0 else "behind"
    seen = f"{abs(ahead):.1f} ms {side} the local clock, ± {reading.error:.1f} ms"
    figures = {"offsetMs": round(ahead, 1), "errorMs": round(reading.error, 1)}
    if abs(ahead) - reading.error > MAX_CLOCK_OFFSET_MS:
        return context.warning("clock-apart", seen, "clock", figures)
    return ok(seen, **figures)
