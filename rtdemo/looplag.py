"""Measure how late the event loop is: what everyone waits for when something blocks."""

from __future__ import annotations

import asyncio

from rtdemo.histogram import Histogram

PERIOD = 0.5
"""Seconds between two looks: often enough to meet what blocks, at 2 wake-ups a second."""


class LoopLag:
    """Look at fixed intervals how late a timer fires.

    Attributes:
        lag: seconds between the instant at which the timer was due and its call.
    """

    def __init__(self) -> None:
        self.lag = Histogram()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() + PERIOD
        self._timer = loop.call_at(self._due, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.lag.record(asyncio.get_running_loop().time() - self._due)
        self.start()
