"""Virtual time for tests: a clock and an event loop that do not wait for real time."""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")

MAX_TURNS = 50_000
"""Turns of the loop without time passing, after which `TimeStandsStillError` is raised."""
THREAD_TIMEOUT_S = 10.0
"""Real seconds that virtual time waits for a function in the loop's executor."""
CANCEL_TIMEOUT_S = 1.0
"""Virtual seconds that cancelled tasks have to end."""


class TimeStandsStillError(AssertionError):
    """Code keeps the loop turning without ever waiting, so that no virtual time passes."""

    def __init__(self) -> None:
        super().__init__(f"the loop turned {MAX_TURNS} times without waiting, so no virtual time passes")


class VirtualClock:
    """A clock that only `advance` moves. It runs the callbacks that are due on the way.

    Arguments:
        start: its time at first, in seconds.

    Attributes:
        now: its time, in seconds.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self._queue: list[tuple[float, int, VirtualTimer]] = []
        self._order = count()

    def time(self) -> float:
        """Return its time, in seconds."""
        return self.now

    @property
    def next_due(self) -> float | None:
        """The time of the next callback, in seconds; None if there is none."""
        while self._queue and self._queue[0][2].callback is None:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def call_at(self, when: float, callback: Callable[[], object]) -> VirtualTimer:
        """Run a callback when `advance` reaches a time, in seconds."""
        timer = VirtualTimer(callback)
        heapq.heappush(self._queue, (when, next(self._order), timer))
        return timer

    def call_soon(self, callback: Callable[[], object]) -> VirtualTimer:
        """Run a callback at the present time, in the next `advance`."""
        return self.call_at(self.now, callback)

    def advance(self, seconds: float) -> None:
        """Move on by some seconds, and run each callback at its time."""
        self.advance_to(self.now + seconds)

    def advance_to(self, end: float) -> None:
        """Move on to a time, in seconds, and run each callback at its time."""
        while self._queue and self._queue[0][0] <= end:
            when, _, timer = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            if timer.callback is not None:
                timer.callback()
        self.now = max(self.now, end)

    def stall(self, seconds: float) -> None:
        """Move on by some seconds without running callbacks, as while a loop is blocked."""
        self.now += seconds


class VirtualTimer:
    """A callback that waits on a `VirtualClock`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not run the callback."""
        self.callback = None


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop that does not wait for timers: `sleep(3600)` ends at once.

    Its time begins at 0. It does not pass while a function runs in a thread of the loop's executor.
    Sockets work, but time does not wait for the peer. The loop is a `Clock` for a `Schedule`.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return its virtual time, in seconds."""
        return self._virtual.now

    @property
    def turns(self) -> int:
        """Number of turns so far. Another thread can read it to see whether the loop still runs."""
        return self._virtual.turns

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Let no virtual time pass within the context.

        Arguments:
            seconds: real time after which virtual time passes again.
        """
        holder = object()
        self._virtual.hold(holder, seconds)
        try:
            yield
        finally:
            self._virtual.release(holder)

    def run_in_executor(  # type: ignore[override]  # typeshed's has variadic generics
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call a function in a thread; no virtual time passes until it returns."""
        future = super().run_in_executor(executor, func, *args)
        holder = object()
        self._virtual.hold(holder, THREAD_TIMEOUT_S)
        future.add_done_callback(lambda _: self._virtual.release(holder))
        return future


def run(main: Coroutine[Any, Any, T], loop: VirtualTimeLoop | None = None) -> T:
    """Run a coroutine on a loop of virtual time, then cancel the remaining tasks and close the loop.

    Arguments:
        main: the coroutine.
        loop: an unused loop; a new one by default.

    Returns:
        The coroutine's result.

    Raises:
        TimeStandsStillError: if the code never waits.
    """
    loop = loop or VirtualTimeLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        try:
            loop.run_until_complete(_end_tasks())
            # The loop would report tasks that resist cancellation; the caller checks for them.
            loop.set_exception_handler(lambda _loop, _context: None)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_TIMEOUT_S)


class _Selector(selectors.DefaultSelector):
    """Select without waiting: if nothing is ready, move virtual time on by the loop's timeout.

    While `hold` lasts, it waits in real time instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turns = 0
        self._turns_without_time = 0
        self._holds: dict[object, float] = {}

    def hold(self, holder: object, seconds: float) -> None:
        self._holds[holder] = monotonic() + seconds

    def release(self, holder: object) -> None:
        self._holds.pop(holder, None)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._turns_without_time = 0
            remaining = max(self._holds.values(), default=0.0) - monotonic()
            if remaining > 0:
                return super().select(remaining)
            self._holds.clear()
            self.now += timeout
            return ready
        self._turns_without_time += 1
        if self._turns_without_time > MAX_TURNS:
            self._turns_without_time = 0
            raise TimeStandsStillError
        return ready
