"""Print results: a table for each workload and transport, and each goal as reached or missed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.figures import Figures, Results, medians
from benchmarks.servers import RTDEMO
from benchmarks.workloads import BASELINES, LABELS, Goal, Transport, Workload


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Arguments:
        name: its heading.
        form: of a value, as `format()` takes it.
        value: reads the figure.
    """

    name: str
    form: str
    value: Callable[[Figures], float | None]

    @property
    def width(self) -> int:
        """Characters."""
        return max(len(self.name), 6)


COLUMNS = (
    Column("CPU µs", ".2f", lambda one: one.cpu),
    Column("rate %", ".2f", lambda one: one.rate_kept),
    Column("a second", ",.0f", lambda one: one.per_second),
    Column("p50 ms", ".2f", lambda one: one.p50),
    Column("p99 ms", ".2f", lambda one: one.p99),
    Column("max ms", ".1f", lambda one: one.max),
    Column("KiB/conn", ".2f", lambda one: one.memory),
    Column("slab/conn", ".2f", lambda one: one.kernel_memory),
    Column("µs/conn", ".0f", lambda one: one.connect),
    Column("server %", ".0f", lambda one: one.server_core),
    Column("client %", ".0f", lambda one: one.client_core),
    Column("others %", ".0f", lambda one: one.other_core),
    Column("lost", ".0f", lambda one: one.lost),
)
NAME_WIDTH = 18
NAMES = {
    "cpu": "CPU",
    "p99": "p99",
    "rate_kept": "rate kept",
    "memory": "KiB a connection",
}
"""Figures as goals name them."""


def row(name: str, found: Figures, ratio: float | None) -> str:
    """Return a server's line of the table."""
    cells = [f"{name:<{NAME_WIDTH}}", f"{'-' if ratio is None else f'{ratio:.2f}':>6}"]
    for column in COLUMNS:
        value = column.value(found)
        cells.append(f"{'-' if value is None else format(value, column.form):>{column.width}}")
    return "  ".join(cells)


def heading(transport: Transport) -> str:
    """Return the line of the columns' names."""
    names = [f"{column.name:>{column.width}}" for column in COLUMNS]
    return "  ".join([f"{LABELS[transport]:<{NAME_WIDTH}}", f"{'ratio':>6}", *names])


def verdict(goal: Goal, value: float | None, transport: Transport) -> str:
    """Return a goal with its value, such as `CPU 0.86 of ws (at most 0.9: reached)`."""
    beside = BASELINES[transport] if goal.beside == "baseline" else goal.beside
    of = f" of {beside}" if beside else ""
    limit = f"{'at least' if goal.least else 'at most'} {goal.limit:g}"
    reached = None if value is None else goal.reached(value)
    return f"{NAMES[goal.figure]} {shown(value)}{of} ({limit}: {outcome(reached)})"


def shown(value: float | None) -> str:
    """Return a value for a goal's line."""
    return "unknown" if value is None else f"{value:.2f}"


def outcome(reached: bool | None) -> str:
    """Return whether a goal is reached, in a word or two."""
    return {True: "reached", False: "MISSED", None: "not measured"}[reached]


def goals(
    results: Results, server: str, transport: Transport, workload: Workload
) -> list[dict[str, Any]]:
    """Return each goal of a server with its value and whether it is reached."""
    if not server.startswith(RTDEMO) or server == f"{RTDEMO}-redis":
        return []
    found = []
    for goal in workload.goals:
        if goal.transport in (None, transport):
            value = results.value(goal, server, transport, workload.name)
            found.append(
                asdict(goal)
                | {
                    "value": value,
                    "reached": None if value is None else goal.reached(value),
                    "text": verdict(goal, value, transport),
                }
            )
    return found


def tables(results: Results, workloads: Sequence[Workload]) -> Iterator[str]:
    """Give the lines of all tables."""
    for workload in workloads:
        yield f"{workload.name}: {workload.connections:,} connections, {workload.about}"
        for transport in workload.transports:
            servers = results.servers(transport, workload.name)
            if servers:
                yield heading(transport)
            for server in servers:
                middle = medians(list(results.of(server, transport, workload.name).values()))
                yield row(server, middle, main_ratio(results, server, transport, workload))
                if texts := [one["text"] for one in goals(results, server, transport, workload)]:
                    yield "  " + "; ".join(texts)
        yield ""


def summary(results: Results, workloads: Sequence[Workload]) -> list[dict[str, Any]]:
    """Return the medians, the ratio and the goals of each server, for JSON."""
    return [
        {
            "server": server,
            "transport": transport,
            "workload": workload.name,
            "medians": asdict(medians(list(results.of(server, transport, workload.name).values()))),
            "ratio": main_ratio(results, server, transport, workload),
            "goals": goals(results, server, transport, workload),
        }
        for workload in workloads
        for transport in workload.transports
        for server in results.servers(transport, workload.name)
    ]


def main_ratio(results: Results, server: str, transport: Transport, workload: Workload) -> float | None:
    """Return the ratio to Node of memory where nothing is sent, and otherwise of CPU."""
    figure = "memory" if workload.kind == "idle" else "cpu"
    return results.ratio(figure, server, transport, workload.name, "baseline")
