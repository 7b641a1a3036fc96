"""A limit of a rate: so many per second, and so many at once."""

from __future__ import annotations


class TokenBucket:
    """Hold tokens that come back at a rate. It is full at first.

    Its state is the time at which it is full again (generic cell rate algorithm, ITU-T I.371): two
    floats and one comparison, and no timer.

    Arguments:
        rate: tokens that come back each second.
        burst: tokens when it is full, 1 or more.
    """

    __slots__ = ("_burst_s", "_full_at", "_token_s")

    def __init__(self, rate: float, burst: float) -> None:
        self._token_s = 1.0 / rate
        self._burst_s = burst / rate
        self._full_at = 0.0

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Take tokens if there are enough, and return whether there were.

        Arguments:
            now: seconds on a monotonic clock, the same for all calls.
            tokens: how many; never more than the burst.
        """
        full_at = max(now, self._full_at) + tokens * self._token_s
        if full_at - now > self._burst_s + 1e-9:
            return False
        self._full_at = full_at
        return True

    def wait(self, now: float, tokens: float = 1.0) -> float:
        """Return the seconds until `take` of as many tokens succeeds; 0 if it would now."""
        return max(0.0, max(now, self._full_at) + tokens * self._token_s - self._burst_s - now)

    def is_full(self, now: float) -> bool:
        """Return whether every token is back, so that the bucket need not be kept."""
        return self._full_at <= now
