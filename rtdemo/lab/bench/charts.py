"""Draw a run's latencies: as percentiles, and second by second. Both on one logarithmic scale.

Lines are SVG paths in a box of 100 by 100 that is stretched to its place; labels are text beside it, so
that they keep their size on a small screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from rtdemo.lab.bench import metrics
from rtdemo.lab.bench.metrics import FROM, Basis
from rtdemo.lab.bench.result import Round, Run
from rtdemo.protocol.client import Transport
from rtdemo.timing.histogram import Latencies, bucket_middle

LEAST, MOST = 0.01, 1e6
"""Milliseconds at which the scale ends."""
_NINES = ((50.0, "p50"), (90.0, "p90"), (99.0, "p99"), (99.9, "p99.9"), (99.99, "p99.99"))
_MAX_DEPTH = 5.0


@dataclass(frozen=True)
class Label:
    """Place a word in percent of an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """Draw one line, or one filled area, in a transport's colour."""

    transport: Transport
    path: str
    kind: str = "line"


@dataclass(frozen=True)
class Plot:
    """Hold a chart; `about` says it in words."""

    title: str
    about: str
    lines: Sequence[Line]
    across: Sequence[Label]
    up: Sequence[Label]
    borders: Sequence[float] = ()


@dataclass(frozen=True)
class Scale:
    """Map milliseconds to height, from whole decade to whole decade."""

    low: int
    high: int

    def height(self, ms: float) -> float:
        """Return percent from the bottom."""
        decades = log10(min(max(ms, LEAST), MOST)) - self.low
        return min(100.0, max(0.0, 100 * decades / (self.high - self.low)))

    @property
    def labels(self) -> list[Label]:
        """Return the decades."""
        return [
            Label(self.height(10.0**power), _duration(power)) for power in range(self.low, self.high + 1)
        ]


def _duration(power: int) -> str:
    if power >= 3:
        return f"{10 ** (power - 3)} s"
    return f"{10.0**power:g} ms"


def scale(found: Iterable[Latencies]) -> Scale:
    """Return the decades that hold all of these latencies but the fastest 10 %."""
    met = [percentile * 1000 for one in found for p in (10, 100) if (percentile := one.percentile(p))]
    low = floor(log10(min(max(min(met, default=LEAST), LEAST), MOST / 10)))
    high = ceil(log10(min(max(met, default=LEAST), MOST)))
    return Scale(low, max(low + 1, high))


def plots(run: Run) -> list[Plot]:
    """Return the charts; none where no latency is told."""
    basis = metrics.basis(run.rounds)
    whole = {transport: metrics.latencies(run.of(transport), basis) for transport in run.transports}
    if not all(one.counts for one in whole.values()):
        return []
    common = scale(whole.values())
    return [_curve(whole, basis, common), _seconds(run, basis, common)]


def _curve(whole: dict[Transport, Latencies], basis: Basis, common: Scale) -> Plot:
    depth = min(_MAX_DEPTH, max(log10(len(one)) for one in whole.values()))
    depth = max(2.0, depth)

    def across(share: float) -> float:
        return 100.0 if share >= 1 else min(100.0, -100 * log10(1 - share) / depth)

    lines = [Line(transport, _steps(one, across, common)) for transport, one in whole.items()]
    ticks = [
        Label(across(percent / 100), name) for percent, name in _NINES if across(percent / 100) <= 86
    ]
    about = f"So many of the messages came within so long {FROM[basis]}. Right is rarer."
    return Plot("Latency by percentile", about, lines, [*ticks, Label(100.0, "max")], common.labels)


def _steps(one: Latencies, across: Callable[[float], float], common: Scale) -> str:
    seen, count, points = 0, len(one), []
    for index in sorted(one.counts):
        y = 100 - common.height(bucket_middle(index) * 1000)
        start = across(seen / count)
        seen += one.counts[index]
        points += [f"{start:.2f},{y:.2f}", f"{across(seen / count):.2f},{y:.2f}"]
    return "M" + " L".join(points)


def _seconds(run: Run, basis: Basis, common: Scale) -> Plot:
    total = sum(len(one.figures.blocks) for one in run.rounds)
    lines: list[Line] = []
    labels, borders, at = [], [], 0
    for number, one in enumerate(run.rounds, 1):
        count = len(one.figures.blocks)
        lines += _round(one, basis, common, at, total)
        labels.append(Label(100 * (at + count / 2) / total, str(number)))
        at += count
        borders.append(100 * at / total)
    about = "Round by round, second by second: the line is p50, the shade reaches up to p99."
    return Plot("Latency as it went", about, lines, labels, common.labels, borders[:-1])


def _round(one: Round, basis: Basis, common: Scale, at: int, total: int) -> list[Line]:
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
