"""A bench worker: a process that opens its share of the connections and measures one round.

`python -m rtdemo.lab.bench.worker` reads and writes the messages of `protocol.py` on its standard
streams. It exits when its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections import Counter
from typing import TypeVar

import msgspec

from rtdemo.lab import server_clock
from rtdemo.lab.bench.analysis import analyse_window
from rtdemo.lab.bench.arrivals import Arrivals
from rtdemo.lab.bench.connection import Connection, Endpoint, RefusedStreamError, resolve
from rtdemo.lab.bench.opening import add_steps, describe, open_connection
from rtdemo.lab.bench.protocol import (
    DRAIN_S,
    MAX_LINE_BYTES,
    Plan,
    Ready,
    Window,
    WindowEnd,
    WorkerResult,
)
from rtdemo.lab.bench.repeater import Repeater
from rtdemo.lab.bench.result import Cost, Received
from rtdemo.timing.histogram import Latencies

WELCOME_TIMEOUT_S = 1.0
"""For the first message of all connections; some servers send none at first."""
LAG_PERIOD_S = 0.02
"""Time between two measurements of the loop's lag."""
TIMER_GRAIN_S = 0.001
"""Loops round timers up to this; so much is not lag."""

T = TypeVar("T")


def main() -> None:
    """Run a worker, on uvloop if it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(_main())
    else:
        uvloop.run(_main())


async def _main() -> None:
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # The input ends when the bench run has ended.
    with contextlib.suppress(EOFError):
        await measure_round(JsonLines(reader))


async def measure_round(lines: JsonLines) -> None:
    """Measure one round, as the messages on these lines direct.

    Raises:
        EOFError: if the input ends first.
    """
    plan = await lines.read(Plan)
    arrivals = Arrivals()
    try:
        endpoint = await resolve(plan.url, plan.transport, plan.headers, body=plan.body)
    except OSError as error:
        lines.write(Ready({}, 0, describe(error)))
        return
    connections, problem = await _open(endpoint, plan, arrivals)
    arrivals.connections = [connection.arrivals for connection in connections]
    repeater = Repeater(endpoint, connections) if plan.body is not None else None
    if connections:
        await asyncio.wait([c.welcomed for c in connections], timeout=WELCOME_TIMEOUT_S)
    lines.write(_ready(connections, problem))
    window = await lines.read(Window)
    if repeater is None:
        # Recording creates no reference cycles, and a garbage collection would appear as latency.
        gc.collect()
        gc.freeze()
        gc.disable()
    # An early WindowEnd ends the window, and so does the end of the input.
    window_end = asyncio.ensure_future(lines.read(WindowEnd))
    window, cost, received = await _measure_window(arrivals, window, window_end)
    await asyncio.wait({window_end}, timeout=DRAIN_S)
    if repeater is not None:
        repeater.stop()
        connections = [one for one in repeater.connections if not one.is_complete]
    ended = Counter(c.end_reason for c in connections if c.end_reason is not None)
    for connection in connections:
        connection.close()
    clock = await window_end
    figures = analyse_window(
        arrivals, plan.periods, window, clock.offset, clock.error, repeats=repeater is not None
    )
    result = WorkerResult(
        window.seconds, figures, cost, received, dict(ended), arrivals.unread, arrivals.left_out
    )
    if repeater is not None:
        result.ended |= repeater.problems
        result.repeats, result.steps = repeater.repeats, repeater.steps
    lines.write(result)


class JsonLines:
    """Read lines of JSON from a stream, and write them to standard output.

    Arguments:
        reader: of the input.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def read(self, kind: type[T]) -> T:
        """Return the next line, decoded.

        Arguments:
            kind: struct to decode.

        Raises:
            EOFError: if there is no further line.
        """
        line = await self._reader.readline()
        if not line:
            raise EOFError
        return msgspec.json.decode(line, type=kind)

    @staticmethod
    def write(content: object) -> None:
        """Write a line."""
        sys.stdout.buffer.write(msgspec.json.encode(content) + b"\n")
        sys.stdout.buffer.flush()


class TimerLag:
    """Measure at short intervals how late a timer fires.

    It measures more finely than `rtdemo.timing.loop_lag`: every 20 ms, and with `perf_counter`, because
    uvloop's own clock has whole milliseconds.
    """

    def __init__(self) -> None:
        self._lag = Latencies()
        self._loop = asyncio.get_running_loop()
        self._start_timer()

    def stop(self) -> Latencies:
        """Stop measuring, and return the lags."""
        self._timer.cancel()
        return self._lag

    def _start_timer(self) -> None:
        self._due = time.perf_counter() + LAG_PERIOD_S
        self._timer = self._loop.call_later(LAG_PERIOD_S, self._record)

    def _record(self) -> None:
        self._lag.record(time.perf_counter() - self._due - TIMER_GRAIN_S)
        self._start_timer()


async def _open(endpoint: Endpoint, plan: Plan, arrivals: Arrivals) -> tuple[list[Connection], str]:
    """Open all connections; return those that opened, and why another one did not.

    If the first is refused for good, so would be the others. A server with a short listen queue lets
    some of them wait until their time is over.
    """
    limiter = asyncio.Semaphore(plan.at_once)

    async def open_one(number: int) -> Connection:
        await asyncio.sleep(plan.spread_s * (number + plan.place / plan.workers) / plan.connections)
        async with limiter:
            return await open_connection(endpoint, arrivals.open())

    found = [*await asyncio.gather(open_one(0), return_exceptions=True)]
    if not isinstance(found[0], RefusedStreamError):
        others = (open_one(number) for number in range(1, plan.connections))
        found += await asyncio.gather(*others, return_exceptions=True)
    problem = next((describe(error) for error in found if isinstance(error, BaseException)), "")
    return [one for one in found if isinstance(one, Connection)], problem


def _ready(connections: list[Connection], problem: str) -> Ready:
    steps: dict[str, Latencies] = {}
    for connection in connections:
        add_steps(steps, connection)
    client = next((c.arrivals.client for c in connections if c.arrivals.client), "")
    return Ready(steps, len(connections), problem, client)


async def _measure_window(
    arrivals: Arrivals, window: Window, interrupt: asyncio.Future[WindowEnd]
) -> tuple[Window, Cost, Received]:
    """Wait until the window ends or is interrupted.

    Returns:
        The window as it was, its cost, and what arrived in it.
    """
    await _wait_until(window.start, interrupt)
    lag = TimerLag()
    cpu = time.process_time()
    before = _received(arrivals)
    await _wait_until(window.start + window.seconds * 1000, interrupt)
    # A loop's timer may fire slightly early; only an interrupt makes a window shorter.
    until_now = max(0.0, (server_clock.now() - window.start) / 1000)
    passed = min(window.seconds, until_now) if interrupt.done() else window.seconds
    used = time.process_time() - cpu
    received = _received(arrivals).since(before)
    share = used / passed if passed else 0.0
    return Window(window.start, passed), Cost(used, share, lag.stop()), received


def _received(arrivals: Arrivals) -> Received:
    found = Received()
    for connection in arrivals.connections:
        found.messages += connection.messages
        found.bytes += connection.bytes
        found.payload_bytes += connection.payload_bytes
        found.stamped += connection.stamped
    return found


async def _wait_until(at: float, interrupt: asyncio.Future[WindowEnd]) -> None:
    """Wait until an instant of `server_clock.now`, or until the interrupt."""
    await asyncio.wait({interrupt}, timeout=max(0.0, (at - server_clock.now()) / 1000))


if __name__ == "__main__":
    main()
