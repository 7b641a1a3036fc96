"""Tell whether two sides differ, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from rtdemo.lab.bench import bootstrap, metrics
from rtdemo.lab.bench.metrics import METRICS, Basis, Metric
from rtdemo.lab.bench.result import Round

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
        for seed, side in enumerate((first, second), bootstrap.SEED)
    ]
    error = max((r.clock_error or 0.0) for r in (*first, *second))
    found = _as_share(name, one, other, draws, (len(first), len(second)))
    if found.is_told and abs(other - one) <= error:
        return _untold(found, f"it is within the {error:.2g} ms by which the clocks may be off")
    return _checked(found, metric)


def _draws(side: Sequence[Round], basis: Basis, percent: float, seed: int) -> list[float]:
    rounds = [metrics.blocks(one, basis) for one in side]
    return bootstrap.percentiles(rounds, [percent], seed)[percent]


def _of_means(
    name: str, metric: Metric, first: Sequence[Round], second: Sequence[Round]
) -> Difference | None:
    values = [[v for one in side if (v := metric.value(one)) is not None] for side in (first, second)]
    if min(map(len, values)) < MIN_ROUNDS:
        return None
    one, other = (sum(side) / len(side) for side in values)
    draws = [bootstrap.means(side, seed) for seed, side in enumerate(values, bootstrap.SEED)]
    rounds = (len(values[0]), len(values[1]))
    if not metric.in_points:
        return _checked(_as_share(name, one, other, draws, rounds), metric)
    low, high = bootstrap.interval(other - one, (b - a for a, b in zip(*draws, strict=True)), rounds)
    found = Difference(name, one, other, other - one, low, high, _spans_zero(low, high))
    return _checked(found, metric)


def _as_share(
    name: str, one: float, other: float, draws: Sequence[Sequence[float]], rounds: tuple[int, int]
) -> Difference:
    # Latencies differ by factors, so the interval is taken of the logarithm of their ratio.
    ratio = _log_ratio(one, other)
    low, high = bootstrap.interval(
        ratio, (_log_ratio(a, b) for a, b in zip(*draws, strict=True)), rounds
    )
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
