"""Open a connection within a time limit, and collect how long each step took."""

from __future__ import annotations

import asyncio

from rtdemo.lab.bench.arrivals import ConnectionArrivals
from rtdemo.lab.bench.connection import Connection, Endpoint, connect
from rtdemo.timing.histogram import Latencies

OPEN_TIMEOUT_S = 30.0
"""For one connection."""


async def open_connection(endpoint: Endpoint, arrivals: ConnectionArrivals) -> Connection:
    """Open a connection.

    Arguments:
        endpoint: where to connect.
        arrivals: records its messages.

    Raises:
        OSError: if it does not open in time.
    """
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        return await connect(endpoint, arrivals)


def describe(error: BaseException) -> str:
    """Return why a connection did not open."""
    if isinstance(error, TimeoutError):
        return f"does not respond within {OPEN_TIMEOUT_S:g} s"
    return str(error) or type(error).__name__


def add_steps(steps: dict[str, Latencies], connection: Connection) -> None:
    """Add the durations of a connection's steps, and their total."""
    total = sum(connection.steps.values())
    for step, took in [*connection.steps.items(), ("total", total)]:
        steps.setdefault(step, Latencies()).record(took / 1000)
