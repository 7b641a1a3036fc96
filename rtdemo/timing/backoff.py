"""Exponential backoff: a longer delay after each consecutive failure."""

from __future__ import annotations

FIRST_RETRY_S = 1.0
"""Delay in seconds after the first failure. Each consecutive failure doubles it."""
MAX_RETRY_S = 30.0
"""Longest delay in seconds, for a producer."""


class Backoff:
    """Failures since the last success, and the time of the next retry.

    Arguments:
        generation: see below.
        max_retry_s: longest delay in seconds.

    Attributes:
        consecutive_failures: failures since the last success. Further ones before `retry_at` do not
            count, because those runs began before the first failure was known.
        retry_at: earliest time of the next retry, in seconds of the caller's clock.
        generation: how many times the producer had been enabled when this backoff was last used.
    """

    __slots__ = ("_max_retry_s", "consecutive_failures", "generation", "retry_at")

    def __init__(self, generation: int = 0, max_retry_s: float = MAX_RETRY_S) -> None:
        self.generation = generation
        self._max_retry_s = max_retry_s
        self.consecutive_failures = 0
        self.retry_at = 0.0

    def failed(self, now: float) -> None:
        """Count a failure and delay the next retry.

        Arguments:
            now: seconds of the caller's clock.
        """
        if self.consecutive_failures and now < self.retry_at:
            return
        self.consecutive_failures += 1
        doublings = min(self.consecutive_failures - 1, 10)
        self.retry_at = now + min(FIRST_RETRY_S * 2**doublings, self._max_retry_s)

    def reset(self) -> None:
        """Forget all failures, as after a success."""
        self.consecutive_failures = 0
        self.retry_at = 0.0
