"""Tell how far a figure may be off by chance: a bootstrap over rounds, and over the seconds in them.

Seconds of one round are alike and rounds differ, so rounds are drawn first and then seconds within
each (Davison and Hinkley, Bootstrap Methods and their Application, section 3.8). Few rounds tell little
of how rounds differ, and a bootstrap of few is too narrow: `widening` makes up for that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from math import sqrt
from random import Random
from statistics import NormalDist
from typing import TypeVar

from rtdemo.histogram import middle
from rtdemo.lab.bench.latencies import Latencies, merged

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
    middles = [middle(index) for index in indices]

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
