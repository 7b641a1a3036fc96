"""An event loop for programs that measure time: on a machine that pauses, its clock pauses too."""

from __future__ import annotations

import selectors
from typing import Any

from tests.checked_loop import CheckedLoop

LONGEST_WAIT_S = 0.05
"""Seconds after which the loop looks at its clock, though nothing has happened."""
LONGEST_STEP_S = 0.1
"""Most seconds that the clock goes on from one look to the next: what is more was a pause."""


class FrequentSelector(selectors.DefaultSelector):
    """Wait for a short time only."""

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready, after `LONGEST_WAIT_S` at the latest."""
        longest = LONGEST_WAIT_S if timeout is None else min(timeout, LONGEST_WAIT_S)
        return super().select(longest)


class PauselessLoop(CheckedLoop):
    """Let both sides of a test, which share the loop, see a machine without pauses.

    A time limit that is over after a pause would else end in the same turn in which the other side
    could only begin to send.
    """

    def __init__(self) -> None:
        self._paused_s = 0.0
        self._looked_at = 0.0
        super().__init__(FrequentSelector())

    def time(self) -> float:
        """Return the seconds that have passed, without the pauses that this finds."""
        now = super().time()
        step = now - self._looked_at
        if self._looked_at and step > LONGEST_STEP_S:
            self._paused_s += step - LONGEST_STEP_S
        self._looked_at = now
        return now - self._paused_s
