"""Messages between a bench run and its worker processes, one line of JSON each.

A worker (`worker.py`) reads a `Plan`, opens its connections and answers `Ready`. It reads a `Window` and
records messages until the window ends. Then it reads a `WindowEnd` and answers its `WorkerResult`.
"""

from __future__ import annotations

import msgspec

from rtdemo.lab.bench.result import Cost, Figures, Received
from rtdemo.protocol.client import Transport
from rtdemo.timing.histogram import Latencies

MAX_BODY_BYTES = 512 * 1024
"""Longest body of a request; a plan has it as base64."""
MAX_LINE_BYTES = 1 << 20
"""Longest line that a worker reads."""
SETTLE_S = 1.0
"""Time between the last opened connection and the window."""
DRAIN_S = 1.0
"""Time after the window in which messages that were due in it may still arrive."""


class Plan(msgspec.Struct, frozen=True):
    """Message from the run to a worker: what to connect to.

    Arguments:
        url: of the stream, with its query.
        transport: of that stream.
        connections: number that this worker opens.
        at_once: largest number of connections that it opens at the same time.
        spread_s: seconds over which all workers open theirs, evenly; 0 for as fast as possible.
        place: of this worker, from 0, among the workers that take turns in opening.
        workers: number of these.
        periods: milliseconds by producer, as the server lists them; others are estimated.
        headers: of the user, for each request.
        body: of a POST request, which each connection repeats when its response ends; None for a GET
            request.
    """

    url: str
    transport: Transport
    connections: int
    at_once: int
    spread_s: float
    periods: dict[str, float]
    headers: dict[str, str] = {}
    body: bytes | None = None
    place: int = 0
    workers: int = 1


class Ready(msgspec.Struct, rename="camel"):
    """Message from a worker to the run: the connections are open, or cannot be opened.

    Arguments:
        steps: durations by step of connecting: tcp, tls, answer, welcome, total.
        opened: number of open connections.
        problem: why one connection did not open; empty if all opened.
        client: client id of one connection; empty if the server sends none.
    """

    steps: dict[str, Latencies]
    opened: int
    problem: str = ""
    client: str = ""


class Window(msgspec.Struct, frozen=True):
    """Message from the run to a worker: when to measure.

    Arguments:
        start: milliseconds of `server_clock.now`.
        seconds: length of the window.
    """

    start: float
    seconds: float


class WindowEnd(msgspec.Struct, frozen=True):
    """Message from the run to a worker: the window has ended, and this is the server's clock.

    Arguments:
        offset: server time minus `server_clock.now`, in milliseconds; None if it is unknown.
        error: plus or minus milliseconds, if the offset is assumed; None if it was measured.
    """

    offset: float | None
    error: float | None = None


class WorkerResult(msgspec.Struct, rename="camel"):
    """Message from a worker to the run: what it measured.

    Arguments:
        seconds: length of the window; shorter than planned if the run was interrupted.
        figures: what the messages show.
        cost: what measuring cost this worker.
        received: messages and bytes in the window.
        ended: number of connections that ended early, by reason.
        unread: number of messages without `sentAt`.
        left_out: number of messages over the worker's limit.
        repeats: number of requests that were repeated after a complete response.
        steps: durations by step of those requests.
    """

    seconds: float
    figures: Figures
    cost: Cost
    received: Received
    ended: dict[str, int]
    unread: int
    left_out: int
    repeats: int = 0
    steps: dict[str, Latencies] = {}
