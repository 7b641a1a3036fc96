"""Measure the offset between the two clocks, and latency with it."""

from __future__ import annotations

import time
from statistics import median

from rtdemo.lab import server_clock
from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.errors import NotTestedError
from rtdemo.lab.doctor.sse import HELD_BACK_MS
from rtdemo.lab.doctor.websocket import open_echo
from rtdemo.lab.server_clock import now
from rtdemo.plugin_system.checks import Finding
from rtdemo.protocol.client import Transport

MAX_CLOCK_OFFSET_MS = 1000.0
"""Milliseconds between the two clocks from which a warning is printed."""
ECHO_COUNT = 10
"""Texts that are echoed to measure the round trip."""
LATENCY_MESSAGES = 10
"""Latest messages used for one-way latency: since earlier ones the clocks may have drifted further."""


async def clock_offset(context: Context) -> Finding:
    """Report how far the server's clock is from the local one."""
    reading = await server_clock.measure(context.address)
    if reading is None:
        why = "" if context.trusted else ": the certificate is not trusted"
        raise NotTestedError(f"/api/time is not available{why}")
    context.clock = reading
    ahead = reading.offset + now() - time.time_ns() / 1e6
    side = "ahead of" if ahead >= 0 else "behind"
    seen = f"{abs(ahead):.1f} ms {side} the local clock, ± {reading.error:.1f} ms"
    if abs(ahead) - reading.error > MAX_CLOCK_OFFSET_MS:
        return Finding("warn", seen, context.fix("clock"))
    return Finding("ok", seen)


async def latency(context: Context, transport: Transport) -> Finding:
    """Report one-way latency from `sentAt` in the messages, and over WebSocket the round trip."""
    context.clock = await server_clock.measure(context.address, context.clock)
    if transport == "sse":
        excess = _excess_over_websocket(context)
        seen = _one_way(context, transport)
        return (
            Finding("warn", seen + excess, context.fix("buffering")) if excess else Finding("ok", seen)
        )
    trips: list[float] = []
    async with open_echo(context) as (socket, _):
        for number in range(ECHO_COUNT):
            sent = now()
            await socket.send_str(str(number))
            await socket.receive_str(timeout=5)
            trips.append(now() - sent)
    round_trip = f"round trip {median(trips):.1f} ms (median of {ECHO_COUNT})"
    return Finding("ok", f"{round_trip}, {_one_way(context, transport)}")


def _measure_one_way(context: Context, transport: Transport) -> tuple[float, float, int] | None:
    """Return the median one-way latency and its error, both in ms, and the number of messages.

    None if no message arrived or the clocks could not be compared.
    """
    monitor = context.monitors.get(transport)
    times = list(monitor.times)[-LATENCY_MESSAGES:] if monitor is not None else []
    if not times or context.clock is None:
        return None
    error = context.clock.error + abs(context.clock.at - times[0][0]) * server_clock.DRIFT
    latencies = [arrived + context.clock.offset - sent for arrived, sent in times]
    return median(latencies), error, len(times)


def _excess_over_websocket(context: Context) -> str:
    """Return the WebSocket's latency as text if SSE is much slower; else an empty text."""
    sse, websocket = _measure_one_way(context, "sse"), _measure_one_way(context, "websocket")
    if sse is None or websocket is None or sse[0] - websocket[0] <= HELD_BACK_MS + sse[1]:
        return ""
    return f"; over WebSocket one way is {max(websocket[0], 0):.1f} ms"


def _one_way(context: Context, transport: Transport) -> str:
    monitor = context.monitors[transport]
    if not monitor.times:
        raise monitor.error or NotTestedError("no message arrived")
    measured = _measure_one_way(context, transport)
    if measured is None:
        return "one way unknown: the clocks could not be compared"
    value, error, count = measured
    if value <= error:
        return f"one way under {max(value, 0) + error:.1f} ms (median of {count})"
    return f"one way {value:.1f} ± {error:.1f} ms (median of {count})"
