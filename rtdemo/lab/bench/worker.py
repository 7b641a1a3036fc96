"""Measure: one process with its share of the connections, told what to do by lines of JSON.

`python -m rtdemo.lab.bench.worker`; see `plan.py` and `answers.py` for what is said. It ends with
its standard input.
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
from rtdemo.lab.bench.connection import Connection, Endpoint, connect, resolve
from rtdemo.lab.bench.protocol import (
    DRAIN_S,
    MAX_LINE_BYTES,
    Plan,
    Ready,
    Window,
    WindowEnd,
    WorkerResult,
)
from rtdemo.lab.bench.result import Cost, Received
from rtdemo.timing.histogram import Latencies

OPEN_TIMEOUT_S = 30.0
"""Seconds for one connection."""
WELCOME_TIMEOUT_S = 1.0
"""Seconds for what servers say first; some say nothing."""
LAG_PERIOD_S = 0.02
"""Seconds between two looks at how late the loop is."""
TIMER_GRAIN_S = 0.001
"""Seconds to which loops round their timers up; that much is not lag."""

T = TypeVar("T")


class TimerLag:
    """Look at short intervals how late a timer fires."""

    def __init__(self) -> None:
        self.lag = Latencies()
        self._loop = asyncio.get_running_loop()
        self._wait()

    def _wait(self) -> None:
        self._due = time.perf_counter() + LAG_PERIOD_S
        self._timer = self._loop.call_later(LAG_PERIOD_S, self._look)

    def _look(self) -> None:
        self.lag.record(time.perf_counter() - self._due - TIMER_GRAIN_S)
        self._wait()

    def stop(self) -> Latencies:
        """Look no more."""
        self._timer.cancel()
        return self.lag


class JsonLines:
    """Read and write lines of JSON on the standard streams."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def read(self, kind: type[T]) -> T:
        """Return the next line; EOFError where there is none."""
        line = await self._reader.readline()
        if not line:
            raise EOFError
        return msgspec.json.decode(line, type=kind)

    @staticmethod
    def write(content: object) -> None:
        """Write a line."""
        sys.stdout.buffer.write(msgspec.json.encode(content) + b"\n")
        sys.stdout.buffer.flush()


async def _open(endpoint: Endpoint, plan: Plan, arrivals: Arrivals) -> tuple[list[Connection], str]:
    gate = asyncio.Semaphore(plan.at_once)

    async def one() -> Connection:
        async with gate, asyncio.timeout(OPEN_TIMEOUT_S):
            return await connect(endpoint, arrivals.open())

    found = await asyncio.gather(*(one() for _ in range(plan.connections)), return_exceptions=True)
    problem = next((_sentence(error) for error in found if isinstance(error, BaseException)), "")
    return [one for one in found if isinstance(one, Connection)], problem


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"does not answer within {OPEN_TIMEOUT_S:g} s"
    return str(error) or type(error).__name__


def _ready(connections: list[Connection], problem: str) -> Ready:
    steps: dict[str, Latencies] = {}
    for connection in connections:
        total = sum(connection.steps.values())
        for step, took in [*connection.steps.items(), ("total", total)]:
            steps.setdefault(step, Latencies()).record(took / 1000)
    client = next((c.arrivals.client for c in connections if c.arrivals.client), "")
    return Ready(steps, len(connections), problem, client)


async def _window(
    connections: list[Connection], go: Window, cut: asyncio.Future[WindowEnd]
) -> tuple[Window, Cost, Received]:
    """Wait for the window to pass, or to be cut.

    Returns: the window as it was, its cost, and what came in it.
    """
    await _until(go.start, cut)
    lag = TimerLag()
    cpu = time.process_time()
    before = _received(connections)
    await _until(go.start + go.seconds * 1000, cut)
    # A loop's timer may fire a moment early; only a cut makes a window shorter.
    until_now = max(0.0, (server_clock.now() - go.start) / 1000)
    passed = min(go.seconds, until_now) if cut.done() else go.seconds
    used = time.process_time() - cpu
    received = _received(connections).since(before)
    share = used / passed if passed else 0.0
    return Window(go.start, passed), Cost(used, share, lag.stop()), received


def _received(connections: list[Connection]) -> Received:
    found = Received()
    for connection in connections:
        found.messages += connection.arrivals.messages
        found.bytes += connection.bytes
        found.payload_bytes += connection.arrivals.payload_bytes
    return found


async def _until(at: float, cut: asyncio.Future[WindowEnd]) -> None:
    await asyncio.wait({cut}, timeout=max(0.0, (at - server_clock.now()) / 1000))


async def run(lines: JsonLines) -> None:
    """Measure one round."""
    plan = await lines.read(Plan)
    arrivals = Arrivals()
    try:
        endpoint = await resolve(plan.url, plan.transport)
    except OSError as error:
        lines.write(Ready({}, 0, _sentence(error)))
        return
    connections, problem = await _open(endpoint, plan, arrivals)
    arrivals.connections = [connection.arrivals for connection in connections]
    if connections:
        await asyncio.wait([c.welcomed for c in connections], timeout=WELCOME_TIMEOUT_S)
    lines.write(_ready(connections, problem))
    go = await lines.read(Window)
    # Nothing cyclic is made while messages come; a collection would look like latency.
    gc.collect()
    gc.freeze()
    gc.disable()
    # A settlement that comes early cuts the window, and so does the end of whoever asked.
    settlement = asyncio.ensure_future(lines.read(WindowEnd))
    go, cost, received = await _window(connections, go, settlement)
    await asyncio.wait({settlement}, timeout=DRAIN_S)
    ended = Counter(c.ended for c in connections if c.ended is not None)
    for connection in connections:
        connection.close()
    settled = await settlement
    figures = analyse_window(arrivals, plan.periods, go, settled.offset, settled.error)
    outcome = WorkerResult(
        go.seconds, figures, cost, received, dict(ended), arrivals.unread, arrivals.left_out
    )
    lines.write(outcome)


async def _main() -> None:
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    # Whoever asked is gone when the lines end.
    with contextlib.suppress(EOFError):
        await run(JsonLines(reader))


def main() -> None:
    """Run on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(_main())
    else:
        uvloop.run(_main())


if __name__ == "__main__":
    main()
