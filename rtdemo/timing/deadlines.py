"""Many deadlines with one timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from rtdemo.timing.schedule import EARLY_S, Clock, Timer

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Call a function for each item that has not stopped in time.

    All items have the same time, so they are due in the order in which they start. Each costs an entry
    in a dict while it runs. There is at most one timer, and none while nothing runs.

    Arguments:
        clock: the time and the timer.
        seconds: from the start to the deadline.
        expired: called once for each that has not stopped by then.

    Attributes:
        running: the items whose time runs, and when each is due.
    """

    __slots__ = ("_clock", "_expired", "_seconds", "_timer", "running")

    def __init__(self, clock: Clock, seconds: float, expired: Callable[[T], object]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = expired
        self.running: dict[T, float] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self.running)

    def start(self, item: T) -> None:
        """Start the time of an item, unless it runs already."""
        if item in self.running:
            return
        self.running[item] = due = self._clock.time() + self._seconds
        if self._timer is None:
            self._timer = self._clock.call_at(due, self._run)

    def stop(self, item: T) -> None:
        """Stop the time of an item, if it runs."""
        self.running.pop(item, None)

    def close(self) -> None:
        """Stop everything."""
        self.running.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        latest = self._clock.time() + EARLY_S
        try:
            while self.running:
                item, due = next(iter(self.running.items()))
                if due > latest:
                    break
                del self.running[item]
                self._expired(item)
        finally:
            # The callback may have started an item, and with it a timer.
            if self.running and self._timer is None:
                self._timer = self._clock.call_at(next(iter(self.running.values())), self._run)
