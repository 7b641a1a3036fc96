"""Name what is told of a transport, once for the table, the comparison and `--fail-if`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rtdemo.lab.bench.result import Round, SecondBlock
from rtdemo.timing.histogram import RESOLUTION, Latencies, merged

Basis = Literal["due", "sent"]
BASIS_LABELS: Mapping[Basis, str] = {"due": "from the instant it was due", "sent": "from sentAt"}
MAX_OTHER_CORES = 0.25
"""Cores that other processes may use."""
MIN_SAMPLES: Mapping[float, int] = {99.9: 10_000, 99.0: 1_000, 95.0: 200}
"""Samples below which a percentile is not told: ten must lie beyond it."""


@dataclass(frozen=True)
class Metric:
    """Say what a figure is and how it is taken.

    Arguments:
        label: for people.
        unit: of `value`.
        percent: of a latency; None for what a round has one of.
        value: of one round; None where it has none.
        resolution: the smallest difference that could be told, as a share, or in points.
        in_points: whether differences are told in percentage points, not as a share.
        more_is_worse: which way harms.
        needs_quiet: whether other processes at work change it, so that runs at two times do not compare.
    """

    label: str
    unit: str
    percent: float | None = None
    value: Callable[[Round], float | None] = lambda _round: None
    resolution: float = 2 * RESOLUTION
    in_points: bool = False
    more_is_worse: bool = True
    needs_quiet: bool = True


def _ratio(above: float | None, below: float, times: float = 1.0) -> float | None:
    return above / below * times if above is not None and below else None


def _maximum(one: Round) -> float | None:
    found = latencies([one], basis([one]))
    return found.maximum * 1000 if found.counts else None


METRICS: Mapping[str, Metric] = {
    "p50": Metric("p50", "ms", 50.0),
    "p95": Metric("p95", "ms", 95.0),
    "p99": Metric("p99", "ms", 99.0),
    "p99.9": Metric("p99.9", "ms", 99.9),
    "max": Metric("max", "ms", value=_maximum),
    "jitter": Metric(
        "jitter", "ms", value=lambda one: one.figures.jitter if one.figures.streams else None
    ),
    "rate": Metric(
        "rate kept",
        "%",
        value=lambda one: _ratio(one.figures.kept, one.figures.due, 100),
        resolution=0.1,
        in_points=True,
        more_is_worse=False,
    ),
    "loss": Metric(
        "lost",
        "%",
        value=lambda one: _ratio(one.figures.lost, one.figures.lost + one.figures.numbered, 100),
        resolution=0.01,
        in_points=True,
        needs_quiet=False,
    ),
    "bytes": Metric(
        "bytes a message",
        "B",
        value=lambda one: _ratio(one.received.bytes, one.received.messages),
        resolution=0.005,
        needs_quiet=False,
    ),
    "cpu": Metric(
        "server CPU a message",
        "µs",
        value=lambda one: _ratio(one.server_cpu, one.figures.messages, 1e6),
        resolution=0.02,
    ),
}


def basis(rounds: Iterable[Round]) -> Basis:
    """Return from where latency is best told: the due instants where all rounds have them."""
    return "due" if all(one.figures.due for one in rounds) else "sent"


def blocks(one: Round, of: Basis) -> list[Latencies]:
    """Return a round's latencies second by second."""
    kind: Callable[[SecondBlock], Latencies] = (lambda b: b.due) if of == "due" else (lambda b: b.sent)
    return [kind(block) for block in one.figures.blocks]


def latencies(rounds: Sequence[Round], of: Basis) -> Latencies:
    """Return the latencies of rounds as one; empty where they are not told."""
    return merged(block for one in rounds for block in blocks(one, of))


def percentile(found: Latencies, percent: float) -> float | None:
    """Return a percentile in milliseconds; None where there are too few samples for it."""
    if len(found) < MIN_SAMPLES.get(percent, 1):
        return None
    seconds = found.percentile(percent)
    return None if seconds is None else seconds * 1000


def mean(rounds: Sequence[Round], metric: Metric) -> float | None:
    """Return the mean of a figure over the rounds that have it."""
    values = [value for one in rounds if (value := metric.value(one)) is not None]
    return sum(values) / len(values) if values else None


def other_cores(rounds: Sequence[Round]) -> float:
    """Return the cores that other processes used meanwhile; 0 where that is not known."""
    known = [one.others for one in rounds if one.others is not None]
    return sum(known) / len(known) if known else 0.0
