"""Bound how often somebody may ask for something."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

FOLLOWED = 10_000
"""Names whose allowance is remembered; the one that asked longest ago is forgotten first."""


class TokenBuckets:
    """Give each name an allowance that refills with time (a token bucket).

    Arguments:
        burst: how often somebody who was quiet may ask at once.
        rate: how much of the allowance comes back a second.
        time: seconds, monotonic.
    """

    def __init__(self, burst: float, rate: float, time: Callable[[], float]) -> None:
        self._burst = burst
        self._rate = rate
        self._time = time
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Use one of a name's allowance; return 0, or the seconds after which there is one again."""
        now = self._time()
        left, at = self._buckets.get(name, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._buckets[name] = (left if wait else left - 1, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > FOLLOWED:
            self._buckets.popitem(last=False)
        return wait
