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
    """

    __slots__ = ("_clock", "_due", "_expired", "_seconds", "_timer")

    def __init__(self, clock: Clock, seconds: float, expired: Callable[[T], object]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = expired
        self._due: dict[T, float] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._due)

    def start(self, item: T) -> None:
        """Start the time of an item, unless it runs already."""
        if item in self._due:
            return
        self._due[item] = due = self._clock.time() + self._seconds
        if self._timer is None:
            self._timer = self._clock.call_at(due, self._run)

    def stop(self, item: T) -> None:
        """Stop the time of an item, if it runs."""
        self._due.pop(item, None)

    def close(self) -> None:
        """Stop everything."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        latest = self._clock.time() + EARLY_S
        try:
            while self._due:
                item, due = next(iter(self._due.items()))
                if due > latest:
                    break
                del self._due[item]
                self._expired(item)
        finally:
            # The callback may have started an item, and with it a timer.
            if self._due and self._timer is None:
                self._timer = self._clock.call_at(next(iter(self._due.values())), self._run)
