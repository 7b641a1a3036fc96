"""Count durations in logarithmic buckets: constant memory, percentiles within 1.6 %."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

_SUB_BITS = 5
_SUB = 1 << _SUB_BITS
_BUCKETS = 40 * _SUB
RESOLUTION = 0.5 / _SUB
"""How far a percentile may be off: half a bucket, as a share of it."""


def bucket(seconds: float) -> int:
    """Return the index of the bucket that a duration falls in; below zero counts as zero."""
    micros = int(seconds * 1e6) if seconds > 0 else 0
    shift = micros.bit_length() - _SUB_BITS - 1
    index = micros if shift < 0 else (shift << _SUB_BITS) + (micros >> shift)
    return min(index, _BUCKETS - 1)


def middle(index: int) -> float:
    """Return the duration in seconds in the middle of a bucket."""
    if index < _SUB:
        return (index + 0.5) / 1e6
    shift = (index >> _SUB_BITS) - 1
    return ((index - (shift << _SUB_BITS)) + 0.5) * (1 << shift) / 1e6


def _empty() -> list[int]:
    return [0] * _BUCKETS


class Histogram(msgspec.Struct):
    """Record durations from a microsecond up to days; each power of two is cut in 32."""

    counts: list[int] = msgspec.field(default_factory=_empty)
    count: int = 0
    maximum: float = 0.0
    total: float = 0.0

    def record(self, seconds: float) -> None:
        """Count one duration; below zero counts as zero."""
        self.counts[bucket(seconds)] += 1
        self.count += 1
        self.total += seconds
        if seconds > self.maximum:
            self.maximum = seconds

    def add(self, other: Histogram) -> None:
        """Count what another one has recorded, too."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.count += other.count
        self.maximum = max(self.maximum, other.maximum)
        self.total += other.total

    def cumulative(self, bounds: Iterable[float]) -> list[tuple[float, int]]:
        """Return with each of ascending bounds, in seconds, how many records lie up to it."""
        found, seen, index = [], 0, 0
        for bound in bounds:
            while index < _BUCKETS and middle(index) <= bound:
                seen += self.counts[index]
                index += 1
            found.append((bound, seen))
        return found

    def percentile(self, percent: float) -> float | None:
        """Return the duration in seconds that `percent` of the records do not exceed."""
        if not self.count:
            return None
        wanted = max(1, round(self.count * percent / 100))
        seen = 0
        for index, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                return min(middle(index), self.maximum)
        return self.maximum  # pragma: no cover - the counts add up to `count`


class Latencies(msgspec.Struct):
    """Hold how often each bucket of `rtdemo.timing.histogram` was met.

    Arguments:
        counts: by the bucket's index.
        maximum: seconds, exact.
        total: seconds, the sum.
    """

    counts: dict[int, int] = msgspec.field(default_factory=dict)
    maximum: float = 0.0
    total: float = 0.0

    def __len__(self) -> int:
        return sum(self.counts.values())

    def record(self, seconds: float, times: int = 1) -> None:
        """Count a duration; below zero counts as zero."""
        index = bucket(seconds)
        self.counts[index] = self.counts.get(index, 0) + times
        self.maximum = max(self.maximum, seconds)
        self.total += max(0.0, seconds) * times

    def add(self, other: Latencies) -> None:
        """Count what another one counted, too."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.maximum = max(self.maximum, other.maximum)
        self.total += other.total

    def percentile(self, percent: float) -> float | None:
        """Return the seconds that `percent` of the durations do not exceed; None without any."""
        if not self.counts:
            return None
        if percent >= 100:
            return self.maximum
        indices = sorted(self.counts)
        index = indices[rank([self.counts[i] for i in indices], percent)]
        return min(middle(index), self.maximum)


def rank(counts: Iterable[int], percent: float) -> int:
    """Return which of the buckets, in ascending order, holds a percentile."""
    counts = list(counts)
    wanted = max(1, round(sum(counts) * percent / 100))
    seen = 0
    for place, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return place
    return len(counts) - 1


def merged(parts: Iterable[Latencies]) -> Latencies:
    """Return all of them as one."""
    whole = Latencies()
    for part in parts:
        whole.add(part)
    return whole
