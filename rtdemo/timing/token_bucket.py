"""Limits of rates: so many per second, and so many at once; for one or for each of many names."""

from __future__ import annotations

from collections import OrderedDict

MAX_BUCKETS = 10_000
"""Buckets in one table: at most about 4 MB."""


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
        # No max(): each text of a client takes a token, and the call costs as much as the rest.
        full_at = self._full_at
        if full_at < now:
            full_at = now
        full_at += tokens * self._token_s
        if full_at - now > self._burst_s + 1e-9:
            return False
        self._full_at = full_at
        return True

    def put_back(self) -> None:
        """Put back a token that `take` has taken."""
        self._full_at -= self._token_s

    def reserve(self, now: float, tokens: float = 1.0) -> float:
        """Take tokens in any case, and return the seconds after which they are there; 0 for now.

        So several that wait are served in their order, each after one wait.

        Arguments:
            now: as for `take`.
            tokens: how many; also more than the burst.
        """
        self._full_at = max(now, self._full_at) + tokens * self._token_s
        return max(0.0, self._full_at - now - self._burst_s)

    def wait(self, now: float, tokens: float = 1.0) -> float:
        """Return the seconds until `take` of as many tokens succeeds; 0 if it would now."""
        return max(0.0, max(now, self._full_at) + tokens * self._token_s - self._burst_s - now)

    def is_full(self, now: float) -> bool:
        """Return whether every token is back, so that the bucket need not be kept."""
        return self._full_at <= now


class TokenBuckets:
    """One token bucket for each name that has used one lately, such as a client's address.

    A full bucket is dropped, as a new one is the same. Above `MAX_BUCKETS` the name that was seen
    longest ago is dropped too. A client with so many names gains nothing: each has a full bucket anyway.

    Arguments:
        rate: tokens that come back to a bucket each second.
        burst: tokens of a full bucket.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        # The name that was seen longest ago is the first.
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, name: str, now: float) -> TokenBucket:
        """Return the bucket of a name.

        Arguments:
            name: any text.
            now: seconds on the clock of the buckets.
        """
        bucket = self._buckets.get(name)
        if bucket is not None:
            self._buckets.move_to_end(name)
            return bucket
        self._drop_full(now)
        if len(self._buckets) >= MAX_BUCKETS:
            self._buckets.popitem(last=False)
        bucket = self._buckets[name] = TokenBucket(self._rate, self._burst)
        return bucket

    def _drop_full(self, now: float) -> None:
        """Drop full buckets, from the one that was used longest ago to the first that is not full."""
        buckets = self._buckets
        while buckets and next(iter(buckets.values())).is_full(now):
            buckets.popitem(last=False)
