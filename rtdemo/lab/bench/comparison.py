"""Compare two sides: whether they differ, by how much, and how certain that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log

from rtdemo.lab.bench import metrics
from rtdemo.lab.bench.bootstrap import (
    SEED,
    confidence_interval,
    resample_means,
    resample_percentiles,
)
from rtdemo.lab.bench.metrics import METRICS, Basis, Metric
from rtdemo.lab.bench.result import Round

MIN_ROUNDS = 2
"""Rounds of each side that a comparison needs."""
MIN_LATENCY_MS = 0.001
"""Smaller latencies count as this one, because 0 has no logarithm."""


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
