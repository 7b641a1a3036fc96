"""Whether this machine is too busy to see when tokens arrive."""

from __future__ import annotations

import asyncio

PERIOD_S = 0.01
"""Seconds between two looks."""
BUSY_SHARE = 0.05
"""Share of the time by which the looks are late, from which bursts may be of this machine's making."""


class BusyWatch:
    """Measures how late the event loop is, from now until `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = self._due = self._loop.time()
        self._late_s = 0.0
        self._timer = self._loop.call_later(PERIOD_S, self._look)
        self._due += PERIOD_S

    @property
    def is_busy(self) -> bool:
        """Whether the loop was late for a large share of the time."""
        elapsed_s = max(self._loop.time() - self._started, PERIOD_S)
        return self._late_s > BUSY_SHARE * elapsed_s

    def stop(self) -> None:
        """Stop to measure."""
        self._timer.cancel()

    def _look(self) -> None:
        at = self._loop.time()
        self._late_s += max(at - self._due, 0.0)
        self._due = at + PERIOD_S
        self._timer = self._loop.call_at(self._due, self._look)
