"""Say what a run does, and what each of its processes is told.

A process that measures (`worker.py`) reads a `Plan`, opens its connections and answers `Ready`; it
reads `Go` and counts for the window; it reads a `Settlement` and answers its `Figures`.
"""

from __future__ import annotations

import msgspec

from rtdemo.lab.bench.result import Cost, Figures, Received
from rtdemo.protocol.client import Transport
from rtdemo.timing.histogram import Latencies

MAX_CONNECTIONS = 20_000
MAX_SECONDS = 600.0
MAX_ROUNDS = 50
MAX_PROCESSES = 64
SETTLE_S = 1.0
"""Seconds between the last connection and the window."""
DRAIN_S = 1.0
"""Seconds after the window for what was due in it."""


class Plan(msgspec.Struct, frozen=True):
    """Tell a process what to connect to.

    Arguments:
        url: of the stream, with its query.
        connections: that this process opens.
        at_once: openings in flight.
        periods: seconds by producer, where the server tells them; others are estimated.
    """

    url: str
    transport: Transport
    connections: int
    at_once: int
    periods: dict[str, float]


class Window(msgspec.Struct, frozen=True):
    """Tell when the window is; `start` in milliseconds of `server_clock.now`."""

    start: float
    seconds: float


class WindowEnd(msgspec.Struct, frozen=True):
    """Tell the server's time minus `server_clock.now`, in milliseconds; None where nobody knows it.

    Arguments:
        error: by which it may be off, where it is assumed and not measured.
    """

    offset: float | None
    error: float | None = None


def order(transports: tuple[Transport, ...], rounds: int) -> list[Transport]:
    """Return the transports' turns, every other pair turned about, so that drift cancels (ABBA)."""
    turns: list[Transport] = []
    for number in range(rounds):
        turns.extend(transports if number % 2 == 0 else transports[::-1])
    return turns


def shares(connections: int, processes: int) -> list[int]:
    """Return how many connections each process opens."""
    base, more = divmod(connections, processes)
    return [base + (number < more) for number in range(processes)]


MAX_LINE_BYTES = 1 << 20
"""Bytes of a line that such a process reads."""


class Ready(msgspec.Struct, rename="camel"):
    """Tell how connecting went.

    Arguments:
        steps: of connecting: tcp, tls, answer, welcome, total.
        opened: how many are.
        problem: of one that did not open.
        client: the id of one; empty where the server tells none.
    """

    steps: dict[str, Latencies]
    opened: int
    problem: str = ""
    client: str = ""


class WorkerResult(msgspec.Struct, rename="camel"):
    """Tell what a process measured.

    Arguments:
        seconds: that the window took.
        ended: how many connections ended on the way, by reason.
        unread: payloads without `sentAt`.
        left_out: messages over the bound.
    """

    seconds: float
    figures: Figures
    cost: Cost
    received: Received
    ended: dict[str, int]
    unread: int
    left_out: int
