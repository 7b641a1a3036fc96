"""Charts of a storm over time: connected clients, and connections made in each second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from math import ceil, floor, log10

from rtdemo.lab.bench.charts import Label, Line, Plot
from rtdemo.lab.storm.result import Figures, Storm
from rtdemo.lab.storm.timeline import STEPS_PER_SECOND

MAX_INTERVALS = 6
"""Most intervals between the labels of an axis."""
MIN_SPAN_S = 0.1
"""Shortest time that a chart shows."""
Values = Callable[[Figures], Sequence[int]]
"""Function that returns one number for each step."""


def plots(storm: Storm, before: Storm | None = None) -> list[Plot]:
    """Return the charts of a storm; none if it was cut short before the signal.

    Arguments:
        storm: to show.
        before: an earlier one, shown with dashed lines.
    """
    shown = [one for one in (before, storm) if one is not None and one.signal_at_seconds is not None]
    if storm.signal_at_seconds is None:
        return []
    dashes = " Dashed: before." if len(shown) > 1 else ""
    connected = f"Clients with an open stream. {storm.settings.signal} comes at 0 s.{dashes}"
    made = f"TCP connections that the server had to accept, in the second before.{dashes}"
    return [
        _plot("Connected clients", connected, shown, lambda figures: figures.connected),
        _plot("Connections made per second", made, shown, _per_second),
    ]


def _per_second(figures: Figures) -> Sequence[int]:
    counts = figures.connects
    return [sum(counts[max(0, at + 1 - STEPS_PER_SECOND) : at + 1]) for at in range(len(counts))]


def _plot(title: str, about: str, shown: Sequence[Storm], values: Values) -> Plot:
    sides = [figures for storm in shown for figures in storm.sides.values()]
    top = axis_steps(max((max(values(one), default=0) for one in sides), default=0))
    # Both begin at the same time before their signal.
    first = -max(_signal_at(storm) for storm in shown)
    last = max(
        len(one.connected) * storm.step_seconds - _signal_at(storm)
        for storm in shown
        for one in storm.sides.values()
    )
    across = axis_steps(last)

    def x(at: float) -> float:
        return 100 * (at - first) / max(MIN_SPAN_S, last - first)

    lines = []
    for storm in shown:
        kind = "line" if storm is shown[-1] else "line before"
        for transport, figures in storm.sides.items():
            times = count(storm.step_seconds - _signal_at(storm), storm.step_seconds)
            points = [
                f"{x(at):.2f},{100 - 100 * value / top[-1]:.2f}"
                for at, value in zip(times, values(figures), strict=False)
            ]
            if points:
                lines.append(Line(transport, "M" + " L".join(points), kind))
    seconds = [Label(x(at), f"{at:g} s") for at in across if at <= last]
    return Plot(
        title, about, lines, seconds, [Label(100 * at / top[-1], f"{at:,g}") for at in top], [x(0)]
    )


def _signal_at(storm: Storm) -> float:
    return storm.signal_at_seconds or 0.0


def axis_steps(largest: float) -> list[float]:
    """Return round numbers for an axis, from 0 to at least a value.

    Arguments:
        largest: value on this axis, not negative.
    """
    least = max(largest, 1.0) / MAX_INTERVALS
    power = 10.0 ** floor(log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    return [step * number for number in range(ceil(max(largest, 1.0) / step) + 1)]
