"""Tell whether two sides differ, by how much, and how sure that is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
_SMALLEST = 0.001
"""Milliseconds that a latency counts as at the least: a logarithm needs something."""


@dataclass(frozen=True)
class Difference:
    """Hold how one figure of the second side stands to the first's.

    Arguments:
        metric: its name in METRICS.
        first, second: the figure of each side, in the metric's unit.
        change: as a share of the first, or in points.
        low, high: the 95 % interval of the change.
        why_not: why no difference can be told; empty where one can.
    """

    metric: str
    first: float
    second: float
    change: float
    low: float
    high: float
    why_not: str = ""

    @property
    def is_told(self) -> bool:
        """Whether the sides differ as far as can be known."""
        return not self.why_not


def compare(name: str, first: Sequence[Round], second: Sequence[Round]) -> Difference | None:
    """Compare a figure of two sides; None where one has no such figure, or too few rounds."""
    metric = METRICS[name]
    if min(len(first), len(second)) < MIN_ROUNDS:
        return None
    if metric.percent is not None:
        return _of_percentile(name, metric, metric.percent, first, second)
    return _of_means(name, metric, first, second)


def _of_percentile(
    name: str, metric: Metric, percent: float, first: Sequence[Round], second: Sequence[Round]
) -> Difference | None:
    basis = metrics.basis([*first, *second])
    figures = [metrics.percentile(metrics.latencies(side, basis), percent) for side in (first, second)]
    one, other = figures
    if one is None or other is None:
        return None
    draws = [
        [seconds * 1000 for seconds in _draws(side, basis, percent, seed)]
        for seed, side in enumerate((first, second), SEED)
    ]
    error = max((r.clock_error or 0.0) for r in (*first, *second))
    found = _as_share(name, one, other, draws, (len(first), len(second)))
    if found.is_told and abs(other - one) <= error:
        return _untold(found, f"it is within the {error:.2g} ms by which the clocks may be off")
    return _checked(found, metric)


def _draws(side: Sequence[Round], basis: Basis, percent: float, seed: int) -> list[float]:
    rounds = [metrics.blocks(one, basis) for one in side]
    return percentiles(rounds, [percent], seed)[percent]


def _of_means(
    name: str, metric: Metric, first: Sequence[Round], second: Sequence[Round]
) -> Difference | None:
    values = [[v for one in side if (v := metric.value(one)) is not None] for side in (first, second)]
    if min(map(len, values)) < MIN_ROUNDS:
        return None
    one, other = (sum(side) / len(side) for side in values)
    draws = [means(side, seed) for seed, side in enumerate(values, SEED)]
    rounds = (len(values[0]), len(values[1]))
    if not metric.in_points:
        return _checked(_as_share(name, one, other, draws, rounds), metric)
    low, high = interval(other - one, (b - a for a, b in zip(*draws, strict=True)), rounds)
    found = Difference(name, one, other, other - one, low, high, _spans_zero(low, high))
    return _checked(found, metric)


def _as_share(
    name: str, one: float, other: float, draws: Sequence[Sequence[float]], rounds: tuple[int, int]
) -> Difference:
    # Latencies differ by factors, so the interval is taken of the logarithm of their ratio.
    ratio = _log_ratio(one, other)
    low, high = interval(ratio, (_log_ratio(a, b) for a, b in zip(*draws, strict=True)), rounds)
    return Difference(
        name, one, other, exp(ratio) - 1, exp(low) - 1, exp(high) - 1, _spans_zero(low, high)
    )


def _log_ratio(one: float, other: float) -> float:
    return log(max(other, _SMALLEST) / max(one, _SMALLEST))


def _spans_zero(low: float, high: float) -> str:
    return "chance alone may make as much" if low <= 0 <= high else ""


def _checked(found: Difference, metric: Metric) -> Difference:
    if found.is_told and abs(found.change) <= metric.resolution:
        return _untold(found, "it is finer than is measured")
    return found


def _untold(found: Difference, why: str) -> Difference:
    return Difference(found.metric, found.first, found.second, found.change, found.low, found.high, why)


RESAMPLES = 1000
SEED = 20261124
CONFIDENCE = 0.95
MAX_BLOCKS = 30
"""Of one round; longer rounds are drawn in pieces of several seconds."""
T = TypeVar("T")


def resample(
    rounds: Sequence[Sequence[T]], statistic: Callable[[list[T]], Sequence[float]], seed: int = SEED
) -> list[Sequence[float]]:
    """Return a statistic of 1,000 draws of rounds, and of blocks within them."""
    chance = Random(seed)
    found = []
    for _ in range(RESAMPLES):
        drawn = chance.choices(rounds, k=len(rounds))
        found.append(statistic([block for one in drawn for block in chance.choices(one, k=len(one))]))
    return found


def percentiles(
    rounds: Sequence[Sequence[Latencies]], percents: Sequence[float], seed: int = SEED
) -> Mapping[float, list[float]]:
    """Return each percentile, in seconds, of 1,000 draws."""
    joined = [_joined(one) for one in rounds]
    indices = sorted({index for one in joined for block in one for index in block.counts})
    vectors = [[tuple(block.counts.get(i, 0) for i in indices) for block in one] for one in joined]
    middles = [bucket_middle(index) for index in indices]

    def of(drawn: list[tuple[int, ...]]) -> list[float]:
        seen = list(accumulate(map(sum, zip(*drawn, strict=True))))
        if not seen or not seen[-1]:
            return [0.0 for _ in percents]
        wanted = (max(1, round(seen[-1] * percent / 100)) for percent in percents)
        return [middles[bisect_left(seen, count)] for count in wanted]

    draws = resample(vectors, of, seed)
    return {percent: [draw[place] for draw in draws] for place, percent in enumerate(percents)}


def means(rounds: Sequence[float], seed: int = SEED) -> list[float]:
    """Return the means of 1,000 draws of figures that a round has one of."""
    return [draw[0] for draw in resample([[one] for one in rounds], _mean, seed)]


def _mean(drawn: Sequence[float]) -> list[float]:
    return [sum(drawn) / len(drawn)]


def _joined(blocks: Sequence[Latencies]) -> list[Latencies]:
    size = -(-len(blocks) // MAX_BLOCKS)
    return [merged(blocks[at : at + size]) for at in range(0, len(blocks), size)]


def interval(estimate: float, draws: Iterable[float], rounds: tuple[int, int]) -> tuple[float, float]:
    """Return the 95 % interval of a difference.

    Arguments:
        estimate: of all that was measured.
        draws: of the resamples.
        rounds: how many each side has, two at least.
    """
    ordered = sorted(draws)
    tail = (1 - CONFIDENCE) / 2
    low = ordered[int(tail * len(ordered))]
    high = ordered[min(len(ordered) - 1, int((1 - tail) * len(ordered)))]
    width = widening(rounds)
    return estimate - width * max(0.0, estimate - low), estimate + width * max(0.0, high - estimate)


def widening(rounds: tuple[int, int]) -> float:
    """Return by how much a bootstrap of few rounds is too narrow.

    A draw of k rounds varies as if there were k - 1, and their spread is itself not well known:
    Student's t, here by Abramowitz and Stegun 26.7.5, in place of the normal deviate.
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
