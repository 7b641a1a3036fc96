"""Compare two sides: whether they differ, by how much, and how certain that is (bootstrap)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import exp, log, sqrt
from random import Random
from statistics import NormalDist
from typing import TypeVar

from rtdemo.lab.bench import metrics
from rtdemo.lab.bench.metrics import METRICS, Basis, Metric
from rtdemo.lab.bench.result import Round
from rtdemo.timing.histogram import Latencies, bucket_middle, merged

MIN_ROUNDS = 2
"""Rounds of each side that a comparison needs."""
CONFIDENCE = 0.95
"""Of the intervals."""
RESAMPLES = 1000
SEED = 20261124
"""Of the random numbers: the same run file always has the same verdict."""
MAX_BLOCKS = 30
"""Blocks of one round; a longer round has blocks of several seconds."""
MIN_LATENCY_MS = 0.001
"""Smaller latencies count as this one, because 0 has no logarithm."""
T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """The difference of one figure between two sides.

    Arguments:
        metric: its name in METRICS.
        first, second: the figure of each side, in the metric's unit.
        change: from the first to the second, as a share of the first, or in percentage points.
        low, high: the 95 % interval of the change.
        why_unclear: why the change is no clear difference, such as `may be chance`; empty if it is.
    """

    metric: str
    first: float
    second: float
    change: float
    low: float
    high: float
    why_unclear: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether the change is beyond chance, the clocks' error and the resolution."""
        return not self.why_unclear


def compare(name: str, first: Sequence[Round], second: Sequence[Round]) -> Difference | None:
    """Compare a figure of two sides; None if a side has no such figure, or too few rounds.

    Arguments:
        name: of the figure in METRICS.
        first, second: rounds of each side.
    """
    metric = METRICS[name]
    if min(len(first), len(second)) < MIN_ROUNDS:
        return None
    if metric.percent is not None:
        return _compare_percentiles(name, metric, metric.percent, first, second)
    return _compare_means(name, metric, first, second)


def _compare_percentiles(
    name: str, metric: Metric, percent: float, first: Sequence[Round], second: Sequence[Round]
) -> Difference | None:
    basis = metrics.basis([*first, *second])
    figures = [metrics.percentile(metrics.latencies(side, basis), percent) for side in (first, second)]
    one, other = figures
    if one is None or other is None:
        return None
    draws = [
        [seconds * 1000 for seconds in _resample_side(side, basis, percent, seed)]
        for seed, side in enumerate((first, second), SEED)
    ]
    error = max((r.clock_error or 0.0) for r in (*first, *second))
    found = _difference_as_share(name, one, other, draws, (len(first), len(second)))
    if found.is_clear and abs(other - one) <= error:
        return replace(found, why_unclear=f"is within the clock error of {error:.2g} ms")
    return _check_resolution(found, metric)


def _resample_side(side: Sequence[Round], basis: Basis, percent: float, seed: int) -> list[float]:
    rounds = [metrics.blocks(one, basis) for one in side]
    return resample_percentiles(rounds, [percent], seed)[percent]


def _compare_means(
    name: str, metric: Metric, first: Sequence[Round], second: Sequence[Round]
) -> Difference | None:
    values = [[v for one in side if (v := metric.value(one)) is not None] for side in (first, second)]
    if min(map(len, values)) < MIN_ROUNDS:
        return None
    one, other = (sum(side) / len(side) for side in values)
    draws = [resample_means(side, seed) for seed, side in enumerate(values, SEED)]
    rounds = (len(values[0]), len(values[1]))
    if not metric.in_points:
        return _check_resolution(_difference_as_share(name, one, other, draws, rounds), metric)
    low, high = confidence_interval(other - one, (b - a for a, b in zip(*draws, strict=True)), rounds)
    found = Difference(name, one, other, other - one, low, high, _chance(low, high))
    return _check_resolution(found, metric)


def _difference_as_share(
    name: str, one: float, other: float, draws: Sequence[Sequence[float]], rounds: tuple[int, int]
) -> Difference:
    # Latencies differ by factors, so the interval is that of the logarithm of their ratio.
    ratio = _log_ratio(one, other)
    low, high = confidence_interval(
        ratio, (_log_ratio(a, b) for a, b in zip(*draws, strict=True)), rounds
    )
    return Difference(name, one, other, exp(ratio) - 1, exp(low) - 1, exp(high) - 1, _chance(low, high))


def _log_ratio(one: float, other: float) -> float:
    return log(max(other, MIN_LATENCY_MS) / max(one, MIN_LATENCY_MS))


def _chance(low: float, high: float) -> str:
    return "may be chance" if low <= 0 <= high else ""


def _check_resolution(found: Difference, metric: Metric) -> Difference:
    if found.is_clear and abs(found.change) <= metric.resolution:
        return replace(found, why_unclear="is below the resolution")
    return found


def resample(
    rounds: Sequence[Sequence[T]], statistic: Callable[[list[T]], Sequence[float]], seed: int = SEED
) -> list[Sequence[float]]:
    """Return a statistic of 1,000 resamples: of rounds, and of blocks within each round.

    Arguments:
        rounds: blocks of each round.
        statistic: function of the drawn blocks.
        seed: of the random numbers.
    """
    chance = Random(seed)
    found = []
    for _ in range(RESAMPLES):
        drawn = chance.choices(rounds, k=len(rounds))
        found.append(statistic([block for one in drawn for block in chance.choices(one, k=len(one))]))
    return found


def resample_percentiles(
    rounds: Sequence[Sequence[Latencies]], percents: Sequence[float], seed: int = SEED
) -> Mapping[float, list[float]]:
    """Return each percentile, in seconds, of 1,000 resamples.

    Arguments:
        rounds: latencies of each round by second.
        percents: percentiles to return.
        seed: of the random numbers.
    """
    blocks = [_join_seconds(one) for one in rounds]
    indices = sorted({index for one in blocks for block in one for index in block.counts})
    vectors = [[tuple(block.counts.get(i, 0) for i in indices) for block in one] for one in blocks]
    middles = [bucket_middle(index) for index in indices]

    def of(drawn: list[tuple[int, ...]]) -> list[float]:
        seen = list(accumulate(map(sum, zip(*drawn, strict=True))))
        if not seen or not seen[-1]:
            return [0.0 for _ in percents]
        wanted = (max(1, round(seen[-1] * percent / 100)) for percent in percents)
        return [middles[bisect_left(seen, count)] for count in wanted]

    draws = resample(vectors, of, seed)
    return {percent: [draw[place] for draw in draws] for place, percent in enumerate(percents)}


def resample_means(rounds: Sequence[float], seed: int = SEED) -> list[float]:
    """Return the means of 1,000 resamples.

    Arguments:
        rounds: one figure of each round.
        seed: of the random numbers.
    """
    return [draw[0] for draw in resample([[one] for one in rounds], _mean, seed)]


def _mean(drawn: Sequence[float]) -> list[float]:
    return [sum(drawn) / len(drawn)]


def _join_seconds(seconds: Sequence[Latencies]) -> list[Latencies]:
    """Join seconds so that a round has at most MAX_BLOCKS blocks."""
    size = -(-len(seconds) // MAX_BLOCKS)
    return [merged(seconds[at : at + size]) for at in range(0, len(seconds), size)]


def confidence_interval(
    estimate: float, draws: Iterable[float], rounds: tuple[int, int]
) -> tuple[float, float]:
    """Return the 95 % interval of a difference.

    Arguments:
        estimate: difference of the whole samples.
        draws: differences of the resamples.
        rounds: number of each side, at least two.
    """
    ordered = sorted(draws)
    tail = (1 - CONFIDENCE) / 2
    low = ordered[int(tail * len(ordered))]
    high = ordered[min(len(ordered) - 1, int((1 - tail) * len(ordered)))]
    width = small_sample_factor(rounds)
    return estimate - width * max(0.0, estimate - low), estimate + width * max(0.0, high - estimate)


def small_sample_factor(rounds: tuple[int, int]) -> float:
    """Return the factor by which the bootstrap interval of few rounds is too narrow.

    A resample of k rounds varies as if there were k - 1, and the estimate of their variance is itself
    uncertain: Student's t (Abramowitz and Stegun 26.7.5) replaces the normal deviate.

    Arguments:
        rounds: number of each side, at least two.
    """
    normal = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    freedom = sum(rounds) - 2
    student = (
        normal
        + (normal**3 + normal) / (4 * freedom)
        + (5 * normal**5 + 16 * normal**3 + 3 * normal) / (96 * freedom**2)
        + (3 * normal**7 + 19 * normal**5 + 17 * normal**3 - 15 * normal) / (384 * freedom**3)
    )
    fewest = min(rounds)
    return student / normal * sqrt(fewest / (fewest - 1))
