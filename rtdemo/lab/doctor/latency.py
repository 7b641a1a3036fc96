"""Compare clocks, and tell latency by them."""

from __future__ import annotations

import time
from statistics import median

from rtdemo.lab import server_clock
from rtdemo.lab.doctor.context import Path
from rtdemo.lab.doctor.errors import NotTestedError
from rtdemo.lab.doctor.sse import HELD
from rtdemo.lab.doctor.websocket import open_probe
from rtdemo.lab.server_clock import now
from rtdemo.plugin_system.checks import Finding
from rtdemo.protocol.client import Transport

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
        held = _behind(path)
        seen = _one_way(path, transport)
        return Finding("warn", seen + held, path.fix("buffering")) if held else Finding("ok", seen)
    trips: list[float] = []
    async with open_probe(path) as (socket, _):
        for number in range(ECHOES):
            sent = now()
            await socket.send_str(str(number))
            await socket.receive_str(timeout=5)
            trips.append(now() - sent)
    there_and_back = f"round trip {median(trips):.1f} ms (median of {ECHOES})"
    return Finding("ok", f"{there_and_back}, {_one_way(path, transport)}")


def _transit(path: Path, transport: Transport) -> tuple[float, float, int] | None:
    """Return the median one way, how far that may be off, both in ms, and of how many messages it is.

    None where nothing came or the clocks are not compared.
    """
    watch = path.watches.get(transport)
    times = list(watch.times)[-LATEST:] if watch is not None else []
    if not times or path.clock is None:
        return None
    error = path.clock.error + abs(path.clock.at - times[0][0]) * server_clock.DRIFT
    return median(arrived + path.clock.offset - sent for arrived, sent in times), error, len(times)


def _behind(path: Path) -> str:
    """Say how far SSE is behind the WebSocket; nothing where that is within what may be."""
    sse, websocket = _transit(path, "sse"), _transit(path, "websocket")
    if sse is None or websocket is None or sse[0] - websocket[0] <= HELD + sse[1]:
        return ""
    return f"; over WebSocket one way is {max(websocket[0], 0):.1f} ms"


def _one_way(path: Path, transport: Transport) -> str:
    watch = path.watches[transport]
    if not watch.times:
        raise watch.error or NotTestedError("no message came")
    found = _transit(path, transport)
    if found is None:
        return "one way not told: the clocks are not compared"
    value, error, count = found
    if value <= error:
        return f"one way under {max(value, 0) + error:.1f} ms (median of {count})"
    return f"one way {value:.1f} ± {error:.1f} ms (median of {count})"
