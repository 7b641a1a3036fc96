"""Whether this machine is too busy to see when bytes arrive."""

from __future__ import annotations

import asyncio

from rtdemo.timing.histogram import Latencies

PERIOD_S = 0.01
"""Seconds between two looks."""
BUSY_SHARE = 0.05
"""Share of the time by which the looks are late, from which bursts may be of this machine's making."""


class BusyWatch:
    """Measures how late the event loop is, from now until `stop`.

    Attributes:
        longest_delay_s: by how much a look was late at most, in seconds.
    """

    def __init__(self) -> None:
        self.longest_delay_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._due = self._started + PERIOD_S
        self._late_s = 0.0
        self._delays = Latencies()
        self._timer = self._loop.call_at(self._due, self._look)

    @property
    def is_busy(self) -> bool:
        """Whether the loop was late for a large share of the time."""
        elapsed_s = max(self._loop.time() - self._started, PERIOD_S)
        return self._late_s > BUSY_SHARE * elapsed_s

    @property
    def usual_delay_s(self) -> float:
        """How late a look was in half of the cases, in seconds."""
        return self._delays.percentile(50) or 0.0

    def stop(self) -> None:
        """Stop to measure."""
        self._timer.cancel()

    def _look(self) -> None:
        at = self._loop.time()
        late_s = max(at - self._due, 0.0)
        self._late_s += late_s
        self.longest_delay_s = max(self.longest_delay_s, late_s)
        self._delays.record(late_s)
        self._due = at + PERIOD_S
        self._timer = self._loop.call_at(self._due, self._look)
