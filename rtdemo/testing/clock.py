"""Tell a time that passes only when told to."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


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
