"""Compare clocks, and tell latency by them."""

from __future__ import annotations

import time
from statistics import median

from rtdemo.checks import Finding
from rtdemo.client import Transport
from rtdemo.lab import server_clock
from rtdemo.lab.doctor.outcome import NotTestedError
from rtdemo.lab.doctor.path import Path
from rtdemo.lab.doctor.sockets import open_probe
from rtdemo.lab.server_clock import now

FAR = 1000.0
"""Milliseconds from which two clocks are wrong enough to say so."""
ECHOES = 10
LATEST = 10
"""Messages whose way is told: for earlier ones the clocks may have drifted further."""


async def offset(path: Path) -> Finding:
    """Tell how the server's clock stands to this one's."""
    reading = await server_clock.measure(path.address)
    if reading is None:
        why = "" if path.trusted else ": its certificate is not trusted"
        raise NotTestedError(f"/api/time cannot be asked{why}")
    path.clock = reading
    ahead = reading.offset + now() - time.time_ns() / 1e6
    side = "ahead of" if ahead >= 0 else "behind"
    seen = f"{abs(ahead):.1f} ms {side} this one, ± {reading.error:.1f} ms"
    if abs(ahead) - reading.error > FAR:
        return Finding("warn", seen, path.fix("clock"))
    return Finding("ok", seen)


async def latency(path: Path, transport: Transport) -> Finding:
    """Tell one-way latency by `sentAt`, and over WebSocket the round trip."""
    path.clock = await server_clock.measure(path.address, path.clock)
    if transport == "sse":
        return Finding("ok", _one_way(path, transport))
    trips: list[float] = []
    async with open_probe(path) as (socket, _):
        for number in range(ECHOES):
            sent = now()
            await socket.send_str(str(number))
            await socket.receive_str(timeout=5)
            trips.append(now() - sent)
    there_and_back = f"round trip {median(trips):.1f} ms (median of {ECHOES})"
    return Finding("ok", f"{there_and_back}, {_one_way(path, transport)}")


def _one_way(path: Path, transport: Transport) -> str:
    watch = path.watches[transport]
    times = list(watch.times)[-LATEST:]
    if not times:
        raise watch.error or NotTestedError("no message came")
    if path.clock is None:
        return "one way not told: the clocks are not compared"
    error = path.clock.error + abs(path.clock.at - times[0][0]) * server_clock.DRIFT
    value = median(arrived + path.clock.offset - sent for arrived, sent in times)
    if value <= error:
        return f"one way under {max(value, 0) + error:.1f} ms (median of {len(times)})"
    return f"one way {value:.1f} ± {error:.1f} ms (median of {len(times)})"
