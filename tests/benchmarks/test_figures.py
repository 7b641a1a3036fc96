"""Figures, medians, ratios and goals are computed as the table says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import report
from benchmarks.figures import Figures, Measured, Results, figures, median, medians
from benchmarks.window import Latency, Window
from benchmarks.workloads import WORKLOADS, Goal, Workload

WINDOW = Window(
    seconds=10,
    count=5000,
    received_bytes=400_000,
    lost=0,
    server_cpu=0.1,
    client_cpu=0.2,
    machine_cpu=0.8,
    opening_seconds=2,
    opening_cpu=0.05,
    memory=300,
    kernel_memory=700,
    latency=Latency(0.2, 0.9, 4.0, 450),
)
"""100 connections, each of which is due five messages a second."""


def workload(name: str, connections: int = 100) -> Workload:
    """Return a workload with a number of connections."""
    return replace(next(one for one in WORKLOADS if one.name == name), connections=connections)


def results(*cpu: tuple[str, str, int, float]) -> Results:
    """Return results with a server's CPU time under a workload in a round."""
    found = Results()
    for server, name, number, value in cpu:
        one = replace(figures(WINDOW, workload("paced"), "websocket"), cpu=value)
        found.windows.append(Measured(server, "websocket", name, number, 100, WINDOW, one))
    return found


def test_window_of_private_messages() -> None:
    """CPU per message and shares of a core; 833 messages a second are due."""
    found = figures(WINDOW, workload("paced"), "websocket")
    assert found.cpu == pytest.approx(20)
    assert found.rate_kept == pytest.approx(60)
    assert found.per_second == 500
    assert (found.memory, found.kernel_memory) == (3, 7)
    assert found.connect is None
    cores = (found.server_core, found.client_core, found.other_core)
    assert cores == pytest.approx((1, 2, 5))


def test_statuses_are_rarer_over_sse() -> None:
    """5 and 2 a second for each connection, and not 5 and 3.33."""
    assert figures(WINDOW, workload("paced"), "sse").rate_kept == pytest.approx(100 * 500 / 700)


def test_window_of_published_messages() -> None:
    """Ten messages a second are due to each connection; opening them costs nothing else."""
    found = figures(WINDOW, workload("fanout"), "sse")
    assert found.rate_kept == pytest.approx(50)
    assert found.connect == pytest.approx(500)


def test_storm_counts_connections_while_they_open() -> None:
    """The rate is that of connecting; CPU time includes leaving."""
    found = figures(replace(WINDOW, count=100), workload("storm"), "sse")
    assert found.per_second == 50
    assert found.cpu == pytest.approx(1000)
    assert found.rate_kept is None


def test_idle_window_has_no_messages() -> None:
    """What is not sent has no cost."""
    found = figures(
        replace(WINDOW, count=0, latency=Latency(None, None, None, 0)), workload("idle"), "sse"
    )
    assert (found.cpu, found.per_second, found.p99) == (None, None, None)


def test_quiet_machine_is_never_below_zero() -> None:
    """The kernel's ticks are coarser than the shares."""
    assert figures(replace(WINDOW, machine_cpu=0.29), workload("paced"), "sse").other_core == 0


def test_median_leaves_out_what_is_unknown() -> None:
    """One window without a value does not hide the others."""
    assert median([3, None, 1, 2]) == 2
    assert median([4, 1]) == 2.5
    assert median([None]) is None


def test_medians_are_of_each_figure_and_losses_add_up() -> None:
    """The window with the median of one figure may be the greatest in another."""
    one = figures(WINDOW, workload("paced"), "sse")
    found = medians([replace(one, cpu=cpu, p99=p99, lost=1) for cpu, p99 in ((1, 9), (3, 7), (2, 8))])
    assert (found.cpu, found.p99, found.lost) == (2, 8, 3)
    assert isinstance(found, Figures)


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """A round in which everything is slow counts as the others do: 0.5, 0.8 and 1.0."""
    found = results(
        ("rtdemo", "paced", 1, 10),
        ("ws", "paced", 1, 20),
        ("rtdemo", "paced", 2, 80),
        ("ws", "paced", 2, 100),
        ("ws", "paced", 3, 12),
        ("rtdemo", "paced", 3, 12),
    )
    assert found.ratio("cpu", "rtdemo", "websocket", "paced", "baseline") == pytest.approx(0.8)


def test_ratio_needs_both_in_a_round() -> None:
    """A round whose window failed is left out."""
    found = results(("rtdemo", "paced", 1, 10), ("ws", "paced", 2, 20))
    assert found.ratio("cpu", "rtdemo", "websocket", "paced", "baseline") is None


def test_ratio_to_another_workload_is_of_the_same_server() -> None:
    """Ten producers that nobody picked are compared with none."""
    found = results(
        ("rtdemo", "fanout", 1, 10), ("rtdemo", "fanout-unpicked", 1, 12), ("ws", "fanout", 1, 1)
    )
    ratio = found.ratio("cpu", "rtdemo", "websocket", "fanout-unpicked", "fanout")
    assert ratio == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        (Goal("cpu", 0.9, "baseline"), 0.9, True),
        (Goal("cpu", 0.9, "baseline"), 0.91, False),
        (Goal("rate_kept", 99.9, least=True), 99.9, True),
        (Goal("rate_kept", 99.9, least=True), 99.8, False),
    ],
)
def test_goal_is_a_limit(goal: Goal, value: float, reached: bool) -> None:
    """The limit itself is reached."""
    assert goal.reached(value) is reached


def test_goals_are_beside_rtdemo_alone() -> None:
    """Every version of rtdemo has them, on the transport that they are for."""
    found = results(
        ("rtdemo", "paced", 1, 17), ("rtdemo at before", "paced", 1, 19), ("ws", "paced", 1, 20)
    )
    lines = [line for line in report.tables(found, [workload("paced")]) if line]
    assert [line.split("  ")[0].strip() for line in lines[2:6:2]] == ["rtdemo", "rtdemo at before"]
    assert "CPU 0.85 of ws (at most 0.9: reached)" in lines[3]
    assert "CPU 0.95 of ws (at most 0.9: MISSED)" in lines[5]
    assert len(lines) == 7


def test_goal_that_was_not_measured_is_not_reached() -> None:
    """Without Node there is no ratio."""
    found = results(("rtdemo", "paced", 1, 17))
    goals = report.goals(found, "rtdemo", "websocket", workload("paced"))
    assert [(goal["value"], goal["reached"]) for goal in goals] == [(None, None), (None, None)]
    assert goals[0]["text"] == "CPU unknown of ws (at most 0.9: not measured)"
