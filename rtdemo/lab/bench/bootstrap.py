"""Confidence intervals by bootstrap: resample rounds, and blocks of seconds within them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from math import sqrt
from random import Random
from statistics import NormalDist
from typing import TypeVar

from rtdemo.timing.histogram import Latencies, bucket_middle, merged

CONFIDENCE = 0.95
"""Of the intervals, unless another one is given."""
RESAMPLES = 1000
"""Draws for one interval."""
SEED = 20261124
"""Of the random numbers: the same run file always has the same verdict."""
MAX_BLOCKS = 30
"""Blocks of one round; a longer round has blocks of several seconds."""
T = TypeVar("T")


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
    estimate: float, draws: Iterable[float], rounds: tuple[int, int], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the confidence interval of a difference.

    Arguments:
        estimate: difference of the whole samples.
        draws: differences of the resamples.
        rounds: number of each side, at least two.
        confidence: of the interval, 0 to 1.
    """
    ordered = sorted(draws)
    tail = (1 - confidence) / 2
    low = ordered[int(tail * len(ordered))]
    high = ordered[min(len(ordered) - 1, int((1 - tail) * len(ordered)))]
    width = small_sample_factor(rounds, confidence)
    return estimate - width * max(0.0, estimate - low), estimate + width * max(0.0, high - estimate)


def small_sample_factor(rounds: tuple[int, int], confidence: float = CONFIDENCE) -> float:
    """Return the factor by which the bootstrap interval of few rounds is too narrow.

    A resample of k rounds varies as if there were k - 1, and the estimate of their variance is itself
    uncertain: Student's t (Abramowitz and Stegun 26.7.5) replaces the normal deviate.

    Arguments:
        rounds: number of each side, at least two.
        confidence: of the interval, 0 to 1.
    """
    normal = NormalDist().inv_cdf((1 + confidence) / 2)
    freedom = sum(rounds) - 2
    student = (
        normal
        + (normal**3 + normal) / (4 * freedom)
        + (5 * normal**5 + 16 * normal**3 + 3 * normal) / (96 * freedom**2)
        + (3 * normal**7 + 19 * normal**5 + 17 * normal**3 - 15 * normal) / (384 * freedom**3)
    )
    fewest = min(rounds)
    return student / normal * sqrt(fewest / (fewest - 1))
