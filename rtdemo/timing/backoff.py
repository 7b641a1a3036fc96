"""Wait longer after each failure in a row."""

from __future__ import annotations

FIRST_RETRY, LAST_RETRY = 1.0, 30.0
"""Seconds before the first further try after a failure, and the most that doubling leads to."""


class Backoff:
    """Say when to try again: 1 s after the first failure in a row, then twice as long each time.

    Attributes:
        in_a_row: failures since the last success. Those within one wait count once: runs that were
            under way at the first failure say nothing new.
        resume_at: the instant from which to try again.
        epoch: which enabling of its producer it has seen.
    """

    __slots__ = ("epoch", "in_a_row", "resume_at")

    def __init__(self) -> None:
        self.epoch = 0
        self.in_a_row = 0
        self.resume_at = 0.0

    def failed(self, now: float) -> None:
        """Count a failure and put the next try off."""
        if self.in_a_row and now < self.resume_at:
            return
        self.in_a_row += 1
        self.resume_at = now + min(FIRST_RETRY * 2 ** min(self.in_a_row - 1, 10), LAST_RETRY)

    def reset(self) -> None:
        """Begin afresh."""
        self.in_a_row = 0
        self.resume_at = 0.0
