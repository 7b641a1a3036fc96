"""Count latencies sparsely, so that a file may hold a histogram for every second of a run."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rtdemo.histogram import bucket, middle


class Latencies(msgspec.Struct):
    """Hold how often each bucket of `rtdemo.histogram` was met.

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
