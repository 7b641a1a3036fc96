"""Measure latency: one way from the times in the messages, and over WebSocket the round trip."""

from __future__ import annotations

import asyncio
from statistics import median

from rtdemo.lab import server_clock
from rtdemo.lab.doctor import clock
from rtdemo.lab.doctor.context import Context, ok
from rtdemo.lab.doctor.delivery import HELD_BACK_MS
from rtdemo.lab.doctor.errors import Diagnosis, NotJudgedError, NotTestedError
from rtdemo.lab.doctor.events import Delivery
from rtdemo.lab.doctor.websocket_client import open_socket
from rtdemo.lab.server_clock import now
from rtdemo.protocol.client import Transport

ECHO_COUNT = 10
"""Texts that are echoed to measure the round trip."""
LATENCY_MESSAGES = 10
"""Latest messages used for one-way latency: since earlier ones the clocks may have drifted further."""


async def sse(context: Context, version: str) -> Diagnosis:
    """Report the one-way latency of an event stream, and whether it is above the WebSocket's."""
    context.require("sse", version)
    found = context.deliveries.get(("sse", version))
    if isinstance(found, Delivery) and found.judgement.kind == "clumped":
        raise NotJudgedError("SSE events")
    context.clock = await clock.measure(context)
    seen, figures = _one_way(context, "sse", version)
    # Where the events of the probe were in time, that is the better measurement.
    is_known = isinstance(found, Delivery)
    excess = 0.0 if is_known else _excess_over_websocket(context, version)
    if excess:
        figures["websocketMs"] = round(excess, 1)
        seen += f"; over WebSocket one way is {excess:.1f} ms"
        return context.warning("latency-sse-slower", seen, "clumped", figures)
    return ok(seen, **figures)


async def websocket(context: Context, version: str) -> Diagnosis:
    """Report the round trip and the one-way latency of a WebSocket."""
    context.require("websocket", version)
    context.clock = await clock.measure(context)
    trips: list[float] = []
    url = context.probe("websocket", "", 60)
    async with (
        asyncio.timeout(context.patience + ECHO_COUNT * 2),
        open_socket(context, url, version=version) as socket,
    ):
        for number in range(ECHO_COUNT):
            sent, wanted = now(), f"echo {number}"
            await socket.send(wanted)
            while wanted not in (received := await socket.receive()).text:
                pass
            trips.append(received.last - sent)
    trip = median(trips)
    shown = f"{trip:.1f} ms" if trip >= 0.1 else "under 0.1 ms"
    round_trip = f"round trip {shown} (median of {ECHO_COUNT})"
    seen, figures = _one_way(context, "websocket", version)
    return ok(f"{round_trip}, {seen}", roundTripMs=round(trip, 3), **figures)


def _excess_over_websocket(context: Context, version: str) -> float:
    """Return the WebSocket's latency in ms if SSE is much slower; else 0."""
    monitors = context.monitors.get(("sse", version)), context.monitors.get(("websocket", "1.1"))
    if context.clock is None or ("websocket", "1.1") in context.causes:
        return 0.0
    delays = [
        min((at - sent for at, sent in monitor.times), default=0.0) + context.clock.offset
        for monitor in monitors
        if monitor is not None and monitor.times
    ]
    # The least delay: what a proxy adds, each message has, and what a busy machine adds, only some.
    # Both have the same error of the clock, so it does not count.
    return max(0.1, delays[1]) if len(delays) == 2 and delays[0] - delays[1] > HELD_BACK_MS else 0.0


def _one_way(context: Context, transport: Transport, version: str) -> tuple[str, dict[str, float]]:
    monitor = context.monitors.get((transport, version))
    if monitor is None or not monitor.times:
        raise (monitor and monitor.error) or NotTestedError("no message arrived")
    if context.clock is None:
        return "one way unknown: the clocks could not be compared", {}
    times = list(monitor.times)[-LATENCY_MESSAGES:]
    value = median(arrived + context.clock.offset - sent for arrived, sent in times)
    error = context.clock.error + abs(context.clock.at - times[0][0]) * server_clock.DRIFT
    figures = {"oneWayMs": round(value, 1), "errorMs": round(error, 1)}
    shown = f"under {max(value, 0) + error:.1f}" if value <= error else f"{value:.1f} ± {error:.1f}"
    return f"one way {shown} ms (median of {len(times)})", figures
