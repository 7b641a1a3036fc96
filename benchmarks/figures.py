"""Turn windows into figures, medians, ratios and a table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.load import Result
from benchmarks.servers import SERVERS, ServerName
from benchmarks.workload import Transport, messages_per_second

GOAL_LESS: dict[Transport, float] = {"websocket": 1.7, "sse": 2.5}
GOAL_RATE_OFF = 0.5

HEADING = (
    "transport  server    CPU µs  rate kept    delivered    server    client    others  lost\n"
    "                  a message          %     a second    % core    % core    % core"
)


@dataclass(frozen=True)
class Figures:
    """Say what one window, or the median of several, showed of one server.

    Attributes:
        rate_kept: private messages delivered, in percent of those due.
        cpu_per_message: microseconds of the server for each delivered message, shared ones included.
        delivered_per_second: messages on all connections.
        server_core, client_core, other_core: CPU time in percent of one core.
        lost: connections that ended before the window did.
    """

    server: ServerName
    transport: Transport
    rate_kept: float
    cpu_per_message: float
    delivered_per_second: float
    server_core: float
    client_core: float
    other_core: float
    lost: int

    def __str__(self) -> str:
        return (
            f"{self.transport:<9}  {self.server:<6}  {self.cpu_per_message:8.1f}  {self.rate_kept:9.2f}"
            f"  {self.delivered_per_second:11,.0f}  {self.server_core:8.0f}  {self.client_core:8.0f}"
            f"  {self.other_core:8.0f}  {self.lost:4d}"
        )


def figures(server: ServerName, result: Result, speed: float) -> Figures:
    """Return the figures of one window.

    Arguments:
        server: what was measured.
        result: what the load client counted.
        speed: multiplies the rates of private messages; shared ones do not follow it, so they are
            left out of the rate.
    """
    due = result.connections * messages_per_second(result.transport, speed) * result.window
    return Figures(
        server=server,
        transport=result.transport,
        rate_kept=100 * (result.delivered - result.shared) / due,
        cpu_per_message=1e6 * result.server_cpu / max(result.delivered, 1),
        delivered_per_second=result.delivered / result.window,
        server_core=100 * result.server_cpu / result.window,
        client_core=100 * result.client_core_share,
        other_core=100 * result.other_core_share,
        lost=result.lost,
    )


def median(windows: Sequence[Figures]) -> Figures:
    """Return the medians of one server's windows on one transport; lost connections are added up."""
    return Figures(
        server=windows[0].server,
        transport=windows[0].transport,
        rate_kept=statistics.median(window.rate_kept for window in windows),
        cpu_per_message=statistics.median(window.cpu_per_message for window in windows),
        delivered_per_second=statistics.median(window.delivered_per_second for window in windows),
        server_core=statistics.median(window.server_core for window in windows),
        client_core=statistics.median(window.client_core for window in windows),
        other_core=statistics.median(window.other_core for window in windows),
        lost=sum(window.lost for window in windows),
    )


@dataclass(frozen=True)
class Comparison:
    """Put rtdemo beside the plain way on one transport.

    Attributes:
        medians: of the servers that ran.
        less_by_round: the plain way's CPU time per message divided by rtdemo's.
    """

    transport: Transport
    medians: dict[ServerName, Figures]
    less_by_round: list[float]

    @property
    def less(self) -> float | None:
        """How many times less CPU time a message costs, by medians; None where one did not run."""
        if len(self.medians) < len(SERVERS):
            return None
        return self.medians["plain"].cpu_per_message / self.medians["rtdemo"].cpu_per_message

    @property
    def reached(self) -> bool:
        """Whether rtdemo keeps the rate, loses nobody, and costs as much less as it is meant to."""
        rtdemo, less = self.medians.get("rtdemo"), self.less
        if rtdemo is None or less is None:
            return False
        keeps_rate = abs(rtdemo.rate_kept - 100) <= GOAL_RATE_OFF and not rtdemo.lost
        return keeps_rate and less >= GOAL_LESS[self.transport]

    def __str__(self) -> str:
        rows = [str(found) for found in self.medians.values()]
        if self.less is not None:
            rounds = " ".join(f"{less:.2f}" for less in self.less_by_round)
            rows.append(
                f"{self.transport:<9}  {self.less:.2f} times less (rounds: {rounds});"
                f" goal {GOAL_LESS[self.transport]:g} at a rate within {GOAL_RATE_OFF:g} %:"
                f" {'reached' if self.reached else 'missed'}"
            )
        return "\n".join(rows)


def compare(windows: Sequence[Figures], transport: Transport) -> Comparison:
    """Return the comparison on one transport.

    Arguments:
        windows: of all servers and transports, in the order in which they were measured.
        transport: which to compare.
    """
    found = {
        name: [w for w in windows if (w.server, w.transport) == (name, transport)] for name in SERVERS
    }
    pairs = zip(found["plain"], found["rtdemo"], strict=False)
    return Comparison(
        transport=transport,
        medians={name: median(of_server) for name, of_server in found.items() if of_server},
        less_by_round=[
            round(plain.cpu_per_message / rtdemo.cpu_per_message, 2) for plain, rtdemo in pairs
        ],
    )
