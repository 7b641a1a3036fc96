"""How cost grows with the number of connections: figures, goals, and a plot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import ceil, floor, log10
from typing import Any

from benchmarks.figures import Results, median
from benchmarks.report import outcome, shown
from benchmarks.workloads import (
    GROWTH_BEND_LIMIT,
    GROWTH_CPU_LIMIT,
    LABELS,
    TRANSPORTS,
    WORKLOADS,
    Transport,
    Workload,
)

WIDTH, HEIGHT = 400, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 120, 44, 40
LABEL_HEIGHT = 14.0
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 5", "12 4")
"""One for each server; the transport has the colour."""
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #444 } .title { font-weight: 600; fill: #222 }
.axis { stroke: #999; stroke-width: 1 } .grid { stroke: #ddd; stroke-width: 1 }
polyline { fill: none; stroke-width: 2 }
.websocket { stroke: #2563c9 } .sse { stroke: #1f8a4c }
circle.websocket { fill: #2563c9 } circle.sse { fill: #1f8a4c }
@media (prefers-color-scheme: dark) {
  text { fill: #bbb } .title { fill: #eee } .axis { stroke: #777 } .grid { stroke: #333 }
  .websocket { stroke: #6ea8ff } .sse { stroke: #5cc98a }
  circle.websocket { fill: #6ea8ff } circle.sse { fill: #5cc98a }
}
"""


@dataclass(frozen=True)
class Curve:
    """One server's figures by the number of connections.

    Attributes:
        connections: from the fewest to the most.
        cpu: microseconds for each message.
        memory: MiB of the server.
    """

    server: str
    transport: Transport
    connections: list[int]
    cpu: list[float]
    memory: list[float]

    @property
    def cpu_growth(self) -> float | None:
        """CPU per message at the most connections, divided by that at the fewest; None if that is 0."""
        return self.cpu[-1] / self.cpu[0] if self.cpu[0] else None

    @property
    def bend(self) -> float:
        """Greatest distance of memory from a straight line, in percent of the most memory."""
        return bend(self.connections, self.memory)


def workload(connections: int) -> Workload:
    """Return the reference's load with a number of connections."""
    reference = next(one for one in WORKLOADS if one.name == "reference")
    return replace(reference, name=f"growth-{connections}", connections=connections, goals=())


def bend(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the greatest distance from the line of least squares, in percent of the greatest value."""
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / (spread or 1)
    off = (abs(y - middle_y - slope * (x - middle_x)) for x, y in zip(xs, ys, strict=True))
    return 100 * max(off) / (max(ys) or 1)


def curves(results: Results, counts: Sequence[int]) -> list[Curve]:
    """Return the curves of all servers that were measured with each number of connections."""
    found = []
    for transport in TRANSPORTS:
        for server in results.servers(transport, workload(counts[0]).name):
            cpu, memory = [], []
            for count in counts:
                rounds = results.of(server, transport, workload(count).name).values()
                cpu.append(median(one.cpu for one in rounds))
                memory.append(median(one.memory for one in rounds))
            known_cpu = [one for one in cpu if one is not None]
            mib = [each * n / 1024 for each, n in zip(memory, counts, strict=True) if each is not None]
            if len(known_cpu) == len(mib) == len(counts):
                found.append(Curve(server, transport, list(counts), known_cpu, mib))
    return found


def table(found: Sequence[Curve]) -> Iterator[str]:
    """Give the lines of the table."""
    for curve in found:
        yield f"growth: {curve.server}, {LABELS[curve.transport]}"
        yield "  connections   CPU µs a message   MiB   KiB a connection"
        for count, cpu, mib in zip(curve.connections, curve.cpu, curve.memory, strict=True):
            yield f"  {count:11,}   {cpu:16.2f}   {mib:3.0f}   {mib * 1024 / count:16.2f}"
        yield "  " + "; ".join(goal["text"] for goal in goals(curve)) + "\n"


def goals(curve: Curve) -> list[dict[str, Any]]:
    """Return the goals of growth with their values."""
    fewest, most = curve.connections[0], curve.connections[-1]
    values = (
        (f"CPU at {most:,} beside {fewest:,} connections", curve.cpu_growth, GROWTH_CPU_LIMIT),
        ("memory off a straight line, percent", curve.bend, GROWTH_BEND_LIMIT),
    )
    return [
        {
            "server": curve.server,
            "transport": curve.transport,
            "value": value,
            "limit": limit,
            "reached": reached,
            "text": f"{name}: {shown(value)} (at most {limit:g}: {outcome(reached)})",
        }
        for name, value, limit in values
        for reached in (None if value is None else value <= limit,)
    ]


def step(greatest: float) -> float:
    """Return a round distance between grid lines, of which 3 to 6 reach over the greatest value."""
    power = 10.0 ** floor(log10(greatest / 3))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if greatest / (factor * power) <= 6)


def greatest_value(lines: Sequence[tuple[Curve, list[float]]]) -> float:
    """Return the greatest value of all lines, or 1 where none is above 0."""
    greatest = max(max(values) for _, values in lines)
    return greatest if greatest > 0 else 1.0


def plot(found: Sequence[Curve]) -> str:
    """Return the plot as SVG: CPU per message and memory, by the number of connections."""
    names = list(dict.fromkeys(curve.server for curve in found))
    dashes = {name: DASHES[number % len(DASHES)] for number, name in enumerate(names)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" role="img">',
        "<title>CPU per message and memory of the server, by the number of connections</title>",
        f"<style>{STYLE}</style>",
        *panel(0, "CPU µs a message", [(curve, curve.cpu) for curve in found], dashes),
        *panel(WIDTH, "Memory, MiB", [(curve, curve.memory) for curve in found], dashes),
        "</svg>\n",
    ]
    return "\n".join(parts)


def panel(
    left: int, title: str, lines: Sequence[tuple[Curve, list[float]]], dashes: dict[str, str]
) -> Iterator[str]:
    """Give the SVG elements of one chart.

    Arguments:
        left: of the chart.
        title: what the vertical axis shows.
        lines: curves with their values.
        dashes: of each server's line.
    """
    most = max(curve.connections[-1] for curve, _ in lines)
    grid = step(greatest_value(lines))
    top = grid * ceil(greatest_value(lines) / grid)
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(connections: float) -> float:
        return left + LEFT + across * connections / most

    def y(value: float) -> float:
        return TOP + down * (1 - max(value, 0) / top)

    yield f'<text class="title" x="{left + LEFT}" y="22">{escape(title)}</text>'
    for number in range(round(top / grid) + 1):
        at, label = y(number * grid), f"{number * grid:g}"
        yield f'<line class="grid" x1="{x(0):.1f}" y1="{at:.1f}" x2="{x(most):.1f}" y2="{at:.1f}"/>'
        yield f'<text x="{x(0) - 6:.1f}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
    yield f'<line class="axis" x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(most):.1f}" y2="{y(0):.1f}"/>'
    for number in range(5):
        count = most * number // 4
        yield f'<text x="{x(count):.1f}" y="{y(0) + 16:.1f}" text-anchor="middle">{count:,}</text>'
    yield f'<text x="{x(most / 2):.1f}" y="{y(0) + 33:.1f}" text-anchor="middle">connections</text>'
    labels = label_heights([y(values[-1]) for _, values in lines])
    for (curve, values), height in zip(lines, labels, strict=True):
        points = [(x(n), y(value)) for n, value in zip(curve.connections, values, strict=True)]
        joined = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        dash = f' stroke-dasharray="{dashes[curve.server]}"' if dashes[curve.server] else ""
        yield f'<polyline class="{curve.transport}" points="{joined}"{dash}/>'
        for px, py in points:
            yield f'<circle class="{curve.transport}" cx="{px:.1f}" cy="{py:.1f}" r="2.5"/>'
        name = escape(f"{curve.server}, {'WS' if curve.transport == 'websocket' else 'SSE'}")
        yield f'<text x="{x(most) + 8:.1f}" y="{height + 4:.1f}">{name}</text>'


def label_heights(wanted: Sequence[float]) -> list[float]:
    """Return heights near those wanted, so that labels do not overlap."""
    heights = list(wanted)
    last = None
    for index in sorted(range(len(heights)), key=heights.__getitem__, reverse=True):
        if last is not None:
            heights[index] = min(heights[index], last - LABEL_HEIGHT)
        last = heights[index]
    return heights
