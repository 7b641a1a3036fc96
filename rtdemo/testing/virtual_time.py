"""Tell a time that passes only when told to."""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import Any, TypeVar


class VirtualTimer:
    """A callback on a virtual clock."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Never call back."""
        self.callback = None


class VirtualClock:
    """Tell a time that `advance` moves, and call back on the way; an hour takes milliseconds.

    Arguments:
        start: seconds shown at first.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        self._queue: list[tuple[float, int, VirtualTimer]] = []
        self._order = count()

    def time(self) -> float:
        """Return the seconds shown."""
        return self.now

    @property
    def next_due(self) -> float | None:
        """The instant of the next callback; None where nothing waits."""
        while self._queue and self._queue[0][2].callback is None:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def call_at(self, when: float, callback: Callable[[], object]) -> VirtualTimer:
        """Call back when `advance` passes an instant."""
        timer = VirtualTimer(callback)
        heapq.heappush(self._queue, (when, next(self._order), timer))
        return timer

    def call_soon(self, callback: Callable[[], object]) -> VirtualTimer:
        """Call back at the time shown, within `advance`."""
        return self.call_at(self.now, callback)

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at each callback that is due."""
        self.advance_to(self.now + seconds)

    def advance_to(self, end: float) -> None:
        """Let time pass up to an instant, stopping at each callback that is due."""
        while self._queue and self._queue[0][0] <= end:
            when, _, timer = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            if timer.callback is not None:
                timer.callback()
        self.now = max(self.now, end)

    def stall(self, seconds: float) -> None:
        """Let time pass without calling back, as a blocked loop does."""
        self.now += seconds


T = TypeVar("T")
MAX_TURNS = 50_000
"""Turns of the loop at one instant, after which it counts as stuck there."""
THREAD_PATIENCE = 10.0
"""Real seconds for which time stands still for a function in the loop's executor."""
LAST_WORDS = 1.0
"""Virtual seconds that tasks have to end after they were cancelled."""


class TimeStandsStillError(AssertionError):
    """Report code that turns the loop again and again without ever waiting."""

    def __init__(self) -> None:
        super().__init__(f"no time passes: the loop turned {MAX_TURNS} times and nothing waits")


class _Selector(selectors.DefaultSelector):
    """Select without waiting: where nothing is ready, jump by as long as the loop would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turns = 0
        self._turns_here = 0
        self._held: dict[object, float] = {}

    def hold(self, holder: object, seconds: float) -> None:
        self._held[holder] = monotonic() + seconds

    def release(self, holder: object) -> None:
        self._held.pop(holder, None)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self._turns_here = 0
            remaining = max(self._held.values(), default=0.0) - monotonic()
            if remaining > 0:
                return super().select(remaining)
            self._held.clear()
            self.now += timeout
            return ready
        self._turns_here += 1
        if self._turns_here > MAX_TURNS:
            self._turns_here = 0
            raise TimeStandsStillError
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Turn as asyncio's own loop does, but never wait for a timer: `sleep(3600)` is over at once.

    Its time begins at 0. While a function runs in a thread, time stands still, so that what the
    thread does takes no virtual time. Sockets work, but time does not wait for the other end.
    The loop is a `schedule.Clock`.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._virtual.now

    @property
    def turns(self) -> int:
        """How often the loop turned; seen from another thread, whether anything goes on."""
        return self._virtual.turns

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Let time stand still meanwhile.

        Arguments:
            seconds: real time after which virtual time goes on all the same.
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
        """Call a function in a thread while time stands still."""
        future = super().run_in_executor(executor, func, *args)
        holder = object()
        self._virtual.hold(holder, THREAD_PATIENCE)
        future.add_done_callback(lambda _: self._virtual.release(holder))
        return future


def run(main: Coroutine[Any, Any, T], loop: VirtualTimeLoop | None = None) -> T:
    """Run a coroutine to its end on a loop of virtual time, then cancel what it left and close.

    Arguments:
        main: what to run.
        loop: an unused one; a new one by default.

    Raises:
        TimeStandsStillError: when the code turns the loop without ever waiting.
    """
    loop = loop or VirtualTimeLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        try:
            loop.run_until_complete(_end_tasks())
            # What resists its cancellation is reported by who looks for it, not by the loop.
            loop.set_exception_handler(lambda _loop, _context: None)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=LAST_WORDS)
