"""Histograms of durations with logarithmic buckets: constant memory, percentiles within 1.6 %.

Between two powers of two (in microseconds) are 32 buckets. `Histogram` has every bucket and records
fast. `Latencies` has only the buckets in use and is small in files and messages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

_SUB_BITS = 5
_SUB = 1 << _SUB_BITS
"""Buckets per power of two."""
_BUCKETS = 40 * _SUB
"""Number of buckets: enough for more than 200 days."""
RESOLUTION = 0.5 / _SUB
"""Largest relative error of a percentile: half a bucket."""
_TABLE_MICROS = 4096
"""Durations up to so many microseconds are looked up, since most lags are that short."""


def bucket_index(seconds: float) -> int:
    """Return the index of the bucket of a duration in seconds; a negative one counts as zero."""
    micros = int(seconds * 1e6) if seconds > 0 else 0
    shift = micros.bit_length() - _SUB_BITS - 1
    index = micros if shift < 0 else (shift << _SUB_BITS) + (micros >> shift)
    return min(index, _BUCKETS - 1)


_TABLE = [bucket_index((micros + 0.5) / 1e6) for micros in range(_TABLE_MICROS)]


def bucket_middle(index: int) -> float:
    """Return the middle of a bucket, in seconds."""
    if index < _SUB:
        return (index + 0.5) / 1e6
    shift = (index >> _SUB_BITS) - 1
    return ((index - (shift << _SUB_BITS)) + 0.5) * (1 << shift) / 1e6


def _empty() -> list[int]:
    return [0] * _BUCKETS


class Histogram(msgspec.Struct):
    """Histogram of durations from a microsecond to months, with all its buckets.

    Arguments:
        counts: number of durations in each bucket.
        count: number of all durations.
        maximum: the longest duration, in seconds.
        total: the sum of the durations, in seconds.
    """

    counts: list[int] = msgspec.field(default_factory=_empty)
    count: int = 0
    maximum: float = 0.0
    total: float = 0.0

    def record(self, seconds: float) -> None:
        """Count one duration, in seconds; a negative one counts as zero in its bucket."""
        self.record_all((seconds,))

    def record_all(self, durations: Sequence[float]) -> None:
        """Count several durations, in seconds; a negative one counts as zero in its bucket."""
        counts, table = self.counts, _TABLE
        for seconds in durations:
            micros = int(seconds * 1e6)
            if micros < _TABLE_MICROS:
                counts[table[micros] if micros > 0 else 0] += 1
            else:
                counts[bucket_index(seconds)] += 1
        self.count += len(durations)
        self.total += sum(durations)
        self.maximum = max(self.maximum, *durations)

    def add(self, other: Histogram) -> None:
        """Add the durations of another histogram."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.count += other.count
        self.maximum = max(self.maximum, other.maximum)
        self.total += other.total

    def cumulative(self, bounds: Iterable[float]) -> list[tuple[float, int]]:
        """Return how many durations are up to each bound.

        Arguments:
            bounds: seconds, ascending.

        Returns:
            One pair for each bound: the bound, and the number of durations that do not exceed it.
        """
        found, seen, index = [], 0, 0
        for bound in bounds:
            while index < _BUCKETS and bucket_middle(index) <= bound:
                seen += self.counts[index]
                index += 1
            found.append((bound, seen))
        return found

    def percentile(self, percent: float) -> float | None:
        """Return the seconds that `percent` % of the durations do not exceed; None without any."""
        if not self.count:
            return None
        return min(_percentile(enumerate(self.counts), self.count, percent), self.maximum)


class Latencies(msgspec.Struct):
    """Histogram of durations with only the buckets in use: for files and messages.

    Arguments:
        counts: number of durations by the index of their bucket.
        maximum: the longest duration, in seconds.
        total: the sum of the durations, in seconds.
    """

    counts: dict[int, int] = msgspec.field(default_factory=dict)
    maximum: float = 0.0
    total: float = 0.0

    def __len__(self) -> int:
        return sum(self.counts.values())

    def record(self, seconds: float, times: int = 1) -> None:
        """Count a duration.

        Arguments:
            seconds: the duration; a negative one counts as zero.
            times: how many durations of this length to count.
        """
        index = bucket_index(seconds)
        self.counts[index] = self.counts.get(index, 0) + times
        self.maximum = max(self.maximum, seconds)
        self.total += max(0.0, seconds) * times

    def add(self, other: Latencies) -> None:
        """Add the durations of another histogram."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.maximum = max(self.maximum, other.maximum)
        self.total += other.total

    def percentile(self, percent: float) -> float | None:
        """Return the seconds that `percent` % of the durations do not exceed; None without any."""
        if not self.counts:
            return None
        if percent >= 100:
            return self.maximum
        total = sum(self.counts.values())
        return min(_percentile(sorted(self.counts.items()), total, percent), self.maximum)


def merged(parts: Iterable[Latencies]) -> Latencies:
    """Return one histogram with the durations of all parts."""
    whole = Latencies()
    for part in parts:
        whole.add(part)
    return whole


def _percentile(counts: Iterable[tuple[int, int]], total: int, percent: float) -> float:
    """Return a percentile of pairs of a bucket, in ascending order, and its count; all are `total`."""
    wanted = max(1, round(total * percent / 100))
    seen = 0
    for index, count in counts:
        seen += count
        if seen >= wanted:
            return bucket_middle(index)
    return math.inf  # pragma: no cover - the counts add up to `total`
