"""Compare two sides: whether they differ, by how much, and how certain that is.

A difference has an interval, and one of four outcomes. A side is named only if the whole interval is
beyond the smallest difference that counts. The sides are equal only if the whole interval is within the
largest difference that counts as none. That is an equivalence test (Schuirmann 1987), not the absence of
a proof. Otherwise the comparison is undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log
from typing import Literal

from rtdemo.lab.bench import metrics
from rtdemo.lab.bench.bootstrap import (
    CONFIDENCE,
    SEED,
    confidence_interval,
    resample_means,
    resample_percentiles,
)
from rtdemo.lab.bench.metrics import METRICS, Basis, Metric
from rtdemo.lab.bench.result import Round

MIN_ROUNDS = 3
"""Rounds of each side that a comparison needs. Two may be alike by chance: with a server that stalled at
fixed times, two rounds named a winner that three did not."""
LATENCY_CONFIDENCE = 0.975
"""Of the interval of a percentile. The verdict looks at two percentiles, and both together have 95 %."""
MIN_DIFFERENCE_MS = 0.5
"""Smaller differences of a time name no side. The page has the same limit: another pair of connections
may differ by this much."""
EQUAL_MS = 1.0
"""Differences of a time up to this count as none, as on the page: no reader of a page sees them."""
MIN_LATENCY_MS = 0.001
"""Smaller latencies count as this one, because 0 has no logarithm."""
Outcome = Literal["more", "less", "equal", "undecided"]
"""Of the second side: whether its figure is larger, smaller, or equal."""
_Draws = tuple[Sequence[float], Sequence[float]]
_Percentiles = dict[float, list[float]]
"""Milliseconds of each draw, by percent."""


@dataclass(frozen=True)
class Difference:
    """The difference of one figure between two sides: second minus first.

    Arguments:
        metric: its name in METRICS.
        first, second: the figure of each side, in the metric's unit.
        low, high: the interval, in the unit of the metric's scale.
        low_share, high_share: the interval as a share of the first; in percentage points for figures in
            percent.
        least: smallest difference that counts, in the unit of the scale.
        equal: largest difference that counts as none, in the unit of the scale.
        error: of the clocks, in milliseconds; the interval includes it.
    """

    metric: str
    first: float
    second: float
    low: float
    high: float
    low_share: float
    high_share: float
    least: float
    equal: float
    error: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """The answer that the whole interval allows."""
        if self.low > self.least:
            return "more"
        if self.high < -self.least:
            return "less"
        return "equal" if self.bound <= self.equal else "undecided"

    @property
    def bound(self) -> float:
        """The largest difference that the interval allows, and at least the smallest that counts."""
        return max(-self.low, self.high, self.least)

    @property
    def is_readable_share(self) -> bool:
        """Whether the interval is narrow enough for percentages: its ends are within a factor of 2."""
        return 1 + self.high_share <= 2 * (1 + self.low_share)

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the figures differ by more than chance, the clocks' error and the resolution.

        For limits that a user sets: unlike an outcome, it includes differences that are small.
        """
        if self.low_share <= 0 <= self.high_share:
            return False
        metric = METRICS[self.metric]
        apart = abs(self.second - self.first)
        if metric.scale == "points":
            return apart > metric.least
        return apart > max(self.error, metric.least * self.first)


class Comparison:
    """The differences between two sides.

    Arguments:
        first, second: rounds of each side.
        is_one_run: whether both sides are of the same run. Then they share the readings of the clock,
            and the error of a reading shifts both latencies alike.
    """

    def __init__(self, first: Sequence[Round], second: Sequence[Round], is_one_run: bool = True) -> None:
        self.first, self.second = first, second
        self._is_one_run = is_one_run
        self._percentiles: dict[Basis, tuple[_Percentiles, _Percentiles]] = {}

    @property
    def basis(self) -> Basis:
        """The basis of the headline latency."""
        return metrics.basis([*self.first, *self.second])

    @property
    def fewest_rounds(self) -> int:
        """Number of rounds of the side that has fewer."""
        return min(len(self.first), len(self.second))

    def difference(self, name: str) -> Difference | None:
        """Return the difference of a figure; None if a side has no such figure, or too few rounds.

        Arguments:
            name: of the figure in METRICS.
        """
        metric = METRICS[name]
        if self.fewest_rounds < MIN_ROUNDS:
            return None
        if metric.percent is not None:
            return self._of_percentile(name, metric, metric.percent)
        return self._of_means(name, metric)

    def _of_percentile(self, name: str, metric: Metric, percent: float) -> Difference | None:
        basis = metric.basis or self.basis
        sides = (self.first, self.second)
        one, other = (metrics.percentile(metrics.latencies(side, basis), percent) for side in sides)
        if one is None or other is None:
            return None
        if basis not in self._percentiles:
            first, second = (_resample(side, basis, seed) for seed, side in enumerate(sides, SEED))
            self._percentiles[basis] = first, second
        draws = self._percentiles[basis]
        rounds = (len(self.first), len(self.second))
        error = self._clock_error if basis != "gap" else 0.0
        return _difference(name, one, other, (draws[0][percent], draws[1][percent]), rounds, error)

    def _of_means(self, name: str, metric: Metric) -> Difference | None:
        sides = (self.first, self.second)
        one, other = ([v for each in side if (v := metric.value(each)) is not None] for side in sides)
        if min(len(one), len(other)) < MIN_ROUNDS:
            return None
        draws = (resample_means(one, SEED), resample_means(other, SEED + 1))
        means = (sum(one) / len(one), sum(other) / len(other))
        return _difference(name, *means, draws, (len(one), len(other)))

    @cached_property
    def _clock_error(self) -> float:
        """The error of a difference of latencies by the clock, in milliseconds.

        Within a run it is the distance between the readings of the rounds. Two runs have independent
        readings, and the error of both counts.
        """
        offsets = [one.clock_offset for one in (*self.first, *self.second)]
        known = [one for one in offsets if one is not None]
        if self._is_one_run and len(known) == len(offsets):
            return max(known) - min(known)
        return sum(max(one.clock_error or 0.0 for one in side) for side in (self.first, self.second))


def _resample(side: Sequence[Round], basis: Basis, seed: int) -> _Percentiles:
    percents = sorted({one.percent for one in METRICS.values() if one.percent is not None})
    draws = resample_percentiles([metrics.blocks(one, basis) for one in side], percents, seed)
    return {percent: [seconds * 1000 for seconds in found] for percent, found in draws.items()}


def _difference(
    name: str, one: float, other: float, draws: _Draws, rounds: tuple[int, int], error: float = 0.0
) -> Difference:
    """Return a difference with its intervals.

    Arguments:
        name: of the metric.
        one, other: figure of each side.
        draws: of each side, by bootstrap.
        rounds: number of each side.
        error: of the clocks, in milliseconds.
    """
    metric = METRICS[name]
    confidence = CONFIDENCE if metric.percent is None else LATENCY_CONFIDENCE
    differences = (b - a for a, b in zip(*draws, strict=True))
    apart = confidence_interval(other - one, differences, rounds, confidence)
    if metric.scale == "points":
        return Difference(name, one, other, *apart, *apart, metric.least, metric.equal)
    # Figures differ by factors, so the interval of a share is that of the logarithm of their ratio.
    ratios = (_log_ratio(a, b) for a, b in zip(*draws, strict=True))
    low, high = (
        exp(end) - 1 for end in confidence_interval(_log_ratio(one, other), ratios, rounds, confidence)
    )
    if metric.scale == "share":
        return Difference(name, one, other, low, high, low, high, metric.least, metric.equal)
    least = max(MIN_DIFFERENCE_MS, metric.least * max(one, other))
    equal = max(EQUAL_MS, metric.equal * min(one, other))
    low_ms, high_ms = apart[0] - error, apart[1] + error
    return Difference(name, one, other, low_ms, high_ms, low, high, least, equal, error)


def _log_ratio(one: float, other: float) -> float:
    return log(max(other, MIN_LATENCY_MS) / max(one, MIN_LATENCY_MS))
