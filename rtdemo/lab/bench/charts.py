"""Charts of a run's latencies, by percentile and over time, on the same logarithmic scale.

A line is an SVG path in a box of 100 by 100, which the page stretches. Labels are HTML text beside it,
so they keep their size on a small screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from rtdemo.lab.bench import metrics
from rtdemo.lab.bench.metrics import BASIS_LABELS, Basis
from rtdemo.lab.bench.result import Round, Run
from rtdemo.protocol.client import Transport
from rtdemo.timing.histogram import Latencies, bucket_middle

MIN_MS, MAX_MS = 0.01, 1e6
"""Limits of the latency scale."""
_PERCENTILES = ((50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9"), (99.99, "p99.99"))
_MIN_DEPTH, _MAX_DEPTH = 2.0, 5.0
"""Nines on the percentile axis: 2 ends at p99, 5 at p99.999."""
_MAX_TICK_PERCENT = 86
"""Position after which a percentile's label would touch "max"."""


@dataclass(frozen=True)
class Label:
    """A text at a position on an axis.

    Arguments:
        at: percent of the axis.
        text: to show.
    """

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line or a filled area in a transport's colour.

    Arguments:
        transport: that it shows.
        path: SVG path data.
        kind: `line` or `area`, the CSS class.
    """

    transport: Transport
    path: str
    kind: str = "line"


@dataclass(frozen=True)
class Plot:
    """A chart.

    Arguments:
        title: of the chart.
        about: what it shows, in one or two sentences.
        lines: and areas, in drawing order.
        across: labels of the horizontal axis.
        up: labels of the vertical axis.
        borders: positions between rounds, in percent of the horizontal axis.
    """

    title: str
    about: str
    lines: Sequence[Line]
    across: Sequence[Label]
    up: Sequence[Label]
    borders: Sequence[float] = ()


@dataclass(frozen=True)
class Scale:
    """A logarithmic scale of milliseconds.

    Arguments:
        low, high: powers of ten at which it begins and ends.
    """

    low: int
    high: int

    def height(self, ms: float) -> float:
        """Return the position of a latency, in percent from the bottom."""
        decades = log10(min(max(ms, MIN_MS), MAX_MS)) - self.low
        return min(100.0, max(0.0, 100 * decades / (self.high - self.low)))

    @property
    def labels(self) -> list[Label]:
        """One label for each power of ten."""
        return [
            Label(self.height(10.0**power), _duration(power)) for power in range(self.low, self.high + 1)
        ]


def _duration(power: int) -> str:
    if power >= 3:
        return f"{10 ** (power - 3)} s"
    return f"{10.0**power:g} ms"


def scale(found: Iterable[Latencies]) -> Scale:
    """Return a scale for these latencies without the fastest 10 %."""
    met = [percentile * 1000 for one in found for p in (10, 100) if (percentile := one.percentile(p))]
    low = floor(log10(min(max(min(met, default=MIN_MS), MIN_MS), MAX_MS / 10)))
    high = ceil(log10(min(max(met, default=MIN_MS), MAX_MS)))
    return Scale(low, max(low + 1, high))


def plots(run: Run) -> list[Plot]:
    """Return the charts of a run; none if latencies are unknown."""
    basis = metrics.basis(run.rounds)
    whole = {transport: metrics.latencies(run.of(transport), basis) for transport in run.transports}
    if not all(one.counts for one in whole.values()):
        return []
    common = scale(whole.values())
    return [_percentile_plot(whole, basis, common), _time_plot(run, basis, common)]


def _percentile_plot(whole: dict[Transport, Latencies], basis: Basis, common: Scale) -> Plot:
    depth = min(_MAX_DEPTH, max(log10(len(one)) for one in whole.values()))
    depth = max(_MIN_DEPTH, depth)

    def across(share: float) -> float:
        return 100.0 if share >= 1 else min(100.0, -100 * log10(1 - share) / depth)

    lines = [Line(transport, _steps(one, across, common)) for transport, one in whole.items()]
    ticks = [
        Label(across(percent / 100), name)
        for percent, name in _PERCENTILES
        if across(percent / 100) <= _MAX_TICK_PERCENT
    ]
    about = (
        f"The share of messages that arrived within a latency, measured {BASIS_LABELS[basis]}. Rare"
        " latencies are on the right."
    )
    return Plot("Latency by percentile", about, lines, [*ticks, Label(100.0, "max")], common.labels)


def _steps(one: Latencies, across: Callable[[float], float], common: Scale) -> str:
    seen, count, points = 0, len(one), []
    for index in sorted(one.counts):
        y = 100 - common.height(bucket_middle(index) * 1000)
        start = across(seen / count)
        seen += one.counts[index]
        points += [f"{start:.2f},{y:.2f}", f"{across(seen / count):.2f},{y:.2f}"]
    return "M" + " L".join(points)


def _time_plot(run: Run, basis: Basis, common: Scale) -> Plot:
    total = sum(len(one.figures.blocks) for one in run.rounds)
    lines: list[Line] = []
    labels, borders, at = [], [], 0
    for number, one in enumerate(run.rounds, 1):
        count = len(one.figures.blocks)
        lines += _round_lines(one, basis, common, at, total)
        labels.append(Label(100 * (at + count / 2) / total, str(number)))
        at += count
        borders.append(100 * at / total)
    about = "Each second of each round: the line is p50, and the shaded area ends at p99."
    return Plot("Latency over time", about, lines, labels, common.labels, borders[:-1])


def _round_lines(one: Round, basis: Basis, common: Scale, at: int, total: int) -> list[Line]:
    middles, tops = [], []
    for number, block in enumerate(metrics.blocks(one, basis)):
        if block.counts:
            x = 100 * (at + number + 0.5) / total
            p50, p99 = (100 - common.height((block.percentile(p) or 0) * 1000) for p in (50, 99))
            middles.append(f"{x:.2f},{p50:.2f}")
            tops.append(f"{x:.2f},{p99:.2f}")
    if not middles:
        return []
    area = "M" + " L".join([*tops, *reversed(middles)]) + "Z"
    return [Line(one.transport, area, "area"), Line(one.transport, "M" + " L".join(middles))]
