"""The table: its figures, and the reason for each unknown figure."""

from __future__ import annotations

import pytest

from rtdemo.lab.bench import metrics, report
from rtdemo.lab.bench.report import Row
from rtdemo.lab.bench.wording import NO_FIGURE, milliseconds
from tests.lab.bench.made_runs import a_round, a_run, latencies


def rows(section: str, messages: int = 200) -> dict[str, Row]:
    run = a_run({"sse": 2.0})
    run.rounds = [a_round("sse", 2.0, 1, messages)]
    [found] = [one for one in report.sections(run, None) if one.title == section]
    return {row.label: row for row in found.rows}


def test_it_is_told_of_how_many_messages_a_latency_is() -> None:
    """The table has the number of due times, and of messages, that a latency comes from."""
    assert rows("Latency from due time")["due times"].figures == ("2,000",)
    assert rows("Latency from sentAt")["messages"].figures == ("2,000",)


@pytest.mark.parametrize(("percent", "enough"), [(99.9, 10_000), (99.0, 1_000), (95.0, 200)])
def test_a_percentile_takes_ten_samples_beyond_it(percent: float, enough: int) -> None:
    """With fewer samples than needed there is a dash, with the reason."""
    assert metrics.percentile(latencies(*[0.001] * enough), percent) is not None
    assert metrics.percentile(latencies(*[0.001] * (enough - 1)), percent) is None
    row = rows("Latency from sentAt", messages=15)[f"p{percent:g}"]
    assert row.figures == ((NO_FIGURE,) if enough > 150 else row.figures)
    assert row.about == f"unknown: it needs {enough:,} messages."


@pytest.mark.parametrize(
    ("steps", "figure"),
    [((0.0, 0.0), "< 0.001"), ((0.0, 0.0, 0.004), "< 0.001"), ((0.000_02, 0.000_3, 0.000_4), "0.300")],
)
def test_a_step_of_no_time_is_shown_as_a_bound(steps: tuple[float, ...], figure: str) -> None:
    """The welcome comes in one segment with the head: `0 ms` would read as a fault of the table."""
    run = a_run({"sse": 2.0})
    run.rounds = [a_round("sse", 2.0, 1)]
    run.rounds[0].steps = {"welcome": latencies(*steps)}
    [found] = [one for one in report.sections(run, None) if one.title == "Connecting"]
    assert [(row.label, row.figures, row.unit) for row in found.rows] == [
        ("welcome, p50", (figure,), "ms")
    ]


def test_latency_of_no_time_is_shown_as_the_error_of_the_clocks() -> None:
    """The report says ± 0.05 ms: `< 0.001` would claim fifty times more."""
    run = a_run({"sse": 2.0})
    run.rounds = [a_round("sse", 0.0, 1)]
    for title in ("Latency from due time", "Latency from sentAt"):
        [found] = [one for one in report.sections(run, None) if one.title == title]
        figures = {row.label: row.figures for row in found.rows}
        assert (figures["p50"], figures["max"]) == (("< 0.05",), ("< 0.05",))


def test_no_duration_is_no_bound() -> None:
    """An unknown one has a dash; from a microsecond on it is the figure."""
    assert [milliseconds(one) for one in (None, 0.001, 2.0)] == [NO_FIGURE, "0.001", "2.000"]
