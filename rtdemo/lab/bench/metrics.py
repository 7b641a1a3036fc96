"""The metrics of a round, defined once for the table, the comparison and `--fail-if`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rtdemo.lab.bench.result import Round, SecondBlock
from rtdemo.timing.histogram import RESOLUTION, Latencies, merged

Basis = Literal["due", "sent", "gap"]
"""What durations are: latencies from due times or from `sentAt`, or gaps between messages."""
BASIS_LABELS: Mapping[Basis, str] = {
    "due": "from due time",
    "sent": "from sentAt",
    "gap": "since the previous message",
}
Scale = Literal["ms", "points", "share"]
"""How a difference is given: in milliseconds, in percentage points, or as a share of the first side."""
_KINDS: Mapping[Basis, Callable[[SecondBlock], Latencies]] = {
    "due": lambda block: block.due,
    "sent": lambda block: block.sent,
    "gap": lambda block: block.gap,
}
MAX_OTHER_CORES = 0.25
"""Cores that other processes may use without a warning."""
MIN_SAMPLES: Mapping[float, int] = {99.9: 10_000, 99.0: 1_000, 95.0: 200}
"""Samples that a percentile needs, so that ten lie beyond it."""


EQUAL_SHARE = 0.05
"""Share up to which two figures count as equal, in both directions."""


@dataclass(frozen=True)
class Metric:
    """A figure and how to compute it.

    Arguments:
        label: for people.
        unit: of the figure.
        scale: of a difference.
        least: smallest difference that counts, in the unit of the scale. For milliseconds, a share of
            the figure; see `comparison.py`.
        equal: largest difference that still counts as none, in the same unit.
        percent: percentile of the durations; None for other figures.
        basis: of the durations; None for that of the headline.
        value: function that returns the figure of one round; None if the round has none.
        more_is_worse: True if a larger figure is worse.
        needs_quiet: True if other busy processes change the figure, so that two runs do not compare.
    """

    label: str
    unit: str
    scale: Scale = "ms"
    least: float = 2 * RESOLUTION
    equal: float = EQUAL_SHARE
    percent: float | None = None
    basis: Basis | None = None
    value: Callable[[Round], float | None] = lambda _round: None
    more_is_worse: bool = True
    needs_quiet: bool = True


def _ratio(above: float | None, below: float, times: float = 1.0) -> float | None:
    return above / below * times if above is not None and below else None


def _maximum(one: Round) -> float | None:
    found = latencies([one], basis([one]))
    return found.maximum * 1000 if found.counts else None


METRICS: Mapping[str, Metric] = {
    "p50": Metric("p50", "ms", percent=50.0),
    "p95": Metric("p95", "ms", percent=95.0),
    "p99": Metric("p99", "ms", percent=99.0),
    "p99.9": Metric("p99.9", "ms", percent=99.9),
    "max": Metric("max", "ms", value=_maximum),
    "gap50": Metric("gap p50", "ms", percent=50.0, basis="gap"),
    "gap95": Metric("gap p95", "ms", percent=95.0, basis="gap"),
    "gap99": Metric("gap p99", "ms", percent=99.0, basis="gap"),
    "jitter": Metric(
        "jitter", "ms", value=lambda one: one.figures.jitter if one.figures.streams else None
    ),
    "rate": Metric(
        "rate kept",
        "%",
        scale="points",
        least=0.1,
        equal=1.0,
        value=lambda one: _ratio(one.figures.kept, one.figures.due, 100),
        more_is_worse=False,
    ),
    "loss": Metric(
        "lost",
        "%",
        scale="points",
        least=0.01,
        equal=0.1,
        value=lambda one: _ratio(one.figures.lost, one.figures.lost + one.figures.numbered, 100),
        needs_quiet=False,
    ),
    "bytes": Metric(
        "bytes per message",
        "B",
        scale="share",
        least=0.005,
        value=lambda one: _ratio(one.received.bytes, one.received.messages),
        needs_quiet=False,
    ),
    "cpu": Metric(
        "server CPU per message",
        "µs",
        scale="share",
        least=0.02,
        value=lambda one: _ratio(one.server_cpu, one.figures.messages, 1e6),
    ),
}
"""Every metric by the name that --fail-if takes."""


def basis(rounds: Iterable[Round]) -> Basis:
    """Return the basis of the headline latency: "due" if all rounds with messages have due times."""
    return "due" if all(one.figures.due for one in rounds if one.figures.messages) else "sent"


def blocks(one: Round, of: Basis) -> list[Latencies]:
    """Return a round's durations, one element for each second."""
    return [_KINDS[of](block) for block in one.figures.blocks]


def latencies(rounds: Sequence[Round], of: Basis) -> Latencies:
    """Return the durations of all rounds together; empty if they are unknown."""
    return merged(block for one in rounds for block in blocks(one, of))


def percentile(found: Latencies, percent: float) -> float | None:
    """Return a percentile in milliseconds; None if there are too few samples for it."""
    if len(found) < MIN_SAMPLES.get(percent, 1):
        return None
    seconds = found.percentile(percent)
    return None if seconds is None else seconds * 1000


def mean(rounds: Sequence[Round], metric: Metric) -> float | None:
    """Return the mean of a metric over the rounds that have it."""
    values = [value for one in rounds if (value := metric.value(one)) is not None]
    return sum(values) / len(values) if values else None


def other_cores(rounds: Sequence[Round]) -> float:
    """Return the mean number of cores that other processes used; 0 if it is unknown."""
    known = [one.others for one in rounds if one.others is not None]
    return sum(known) / len(known) if known else 0.0
