"""Compute what the tables show: figures of a window, medians over rounds, ratios, and goals."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

from benchmarks.window import Window
from benchmarks.workloads import BASELINES, Goal, Transport, Workload


@dataclass(frozen=True)
class Figures:
    """Figures of one window, or medians of several; None where a workload has none.

    Attributes:
        cpu: microseconds of the server for each message, echo, or connection that came and left.
        rate_kept: messages delivered, in percent of those due.
        per_second: messages, echoes or connections a second.
        p50, p99, max: milliseconds from `sentAt`, or of an echo.
        memory: KiB of the server for each connection.
        kernel_memory: KiB of the kernel's own objects for each connection, both ends.
        connect: microseconds of the server for each connection that opened.
        server_core, client_core, other_core: CPU time in percent of one core.
        lost: connections that ended too early.
    """

    cpu: float | None
    rate_kept: float | None
    per_second: float | None
    p50: float | None
    p99: float | None
    max: float | None
    memory: float | None
    kernel_memory: float | None
    connect: float | None
    server_core: float | None
    client_core: float | None
    other_core: float | None
    lost: float | None


@dataclass(frozen=True)
class Measured:
    """One window: its server and workload, what the client answered, and its figures."""

    server: str
    transport: Transport
    workload: str
    round: int
    connections: int
    window: Window
    figures: Figures


def figures(window: Window, workload: Workload, transport: Transport) -> Figures:
    """Return the figures of one window."""
    due = workload.due_per_second(transport) * workload.connections * window.seconds
    others = window.machine_cpu - window.client_cpu - window.server_cpu
    idle, storm = workload.kind == "idle", workload.kind == "storm"
    counted_seconds = window.opening_seconds if storm else window.seconds
    # Where private messages flow while connections open, the CPU time is theirs too.
    opening_cpu = None if workload.kind == "private" else window.opening_cpu
    return Figures(
        cpu=None if idle else 1e6 * window.server_cpu / max(window.count, 1),
        rate_kept=100 * window.count / due if due else None,
        per_second=None if idle else window.count / counted_seconds,
        p50=window.latency.p50,
        p99=window.latency.p99,
        max=window.latency.max,
        memory=window.memory / workload.connections,
        kernel_memory=window.kernel_memory / workload.connections,
        connect=None if opening_cpu is None else 1e6 * opening_cpu / workload.connections,
        server_core=100 * window.server_cpu / window.seconds,
        client_core=100 * window.client_cpu / window.seconds,
        # /proc/stat counts whole ticks, so an idle machine may come out a little below zero.
        other_core=max(0.0, 100 * others / window.seconds),
        lost=window.lost,
    )


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are known; None without one."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def medians(found: Sequence[Figures]) -> Figures:
    """Return the median of each figure, and the sum of lost connections."""
    rows = [asdict(one) for one in found]
    middle = {field.name: median(row[field.name] for row in rows) for field in fields(Figures)}
    return Figures(**middle | {"lost": sum(row["lost"] or 0 for row in rows)})


class Results:
    """All windows of a run, and their medians and ratios."""

    def __init__(self) -> None:
        self.windows: list[Measured] = []

    def of(self, server: str, transport: Transport, workload: str) -> dict[int, Figures]:
        """Return the figures of each round."""
        key = (server, transport, workload)
        found = (one for one in self.windows if (one.server, one.transport, one.workload) == key)
        return {one.round: one.figures for one in found}

    def servers(self, transport: Transport, workload: str) -> list[str]:
        """Return the servers that were measured, in order of their first window."""
        found = (one for one in self.windows if (one.transport, one.workload) == (transport, workload))
        return list(dict.fromkeys(one.server for one in found))

    def ratio(
        self, figure: str, server: str, transport: Transport, workload: str, beside: str
    ) -> float | None:
        """Return the median of a figure's ratios within each round; None without a pair.

        Arguments:
            figure: attribute of Figures.
            server: the dividend's.
            transport: of both.
            workload: of the dividend.
            beside: `baseline` for Node's server of the transport, or another workload of the server.
        """
        if beside == "baseline":
            divisors = self.of(BASELINES[transport], transport, workload)
        else:
            divisors = self.of(server, transport, beside)
        ratios = []
        for number, own in self.of(server, transport, workload).items():
            dividend = getattr(own, figure)
            divisor = getattr(divisors.get(number), figure, None)
            ratios.append(dividend / divisor if dividend is not None and divisor else None)
        return median(ratios)

    def value(self, goal: Goal, server: str, transport: Transport, workload: str) -> float | None:
        """Return what a goal limits: a ratio, or the median of a figure; None where it is unknown."""
        if goal.beside:
            return self.ratio(goal.figure, server, transport, workload, goal.beside)
        return median(getattr(own, goal.figure) for own in self.of(server, transport, workload).values())
