"""Comparisons and verdicts: which differences are clear, and which are not."""

from __future__ import annotations

import pytest

from rtdemo.lab.bench import verdict
from rtdemo.lab.bench.bootstrap import (
    RESAMPLES,
    resample_means,
    resample_percentiles,
    small_sample_factor,
)
from rtdemo.lab.bench.comparison import compare
from rtdemo.lab.bench.result import ParityCheck, RunSettings
from rtdemo.lab.bench.run import turn_order
from rtdemo.lab.bench.target import split_connections
from tests.lab.bench.made_runs import a_run, latencies


def test_turns_are_taken_so_that_drift_cancels() -> None:
    """The order is ABBA: each transport is first as often as second."""
    assert turn_order(("websocket", "sse"), 2) == ["websocket", "sse", "sse", "websocket"]
    assert turn_order(("sse",), 2) == ["sse", "sse"]
    assert split_connections(7, 3) == [3, 2, 2]


def test_the_same_seed_draws_the_same() -> None:
    """The same seed gives the same draws, so that a run file always has the same verdict."""
    rounds = [[latencies(0.001, 0.002, 0.003)] * 4, [latencies(0.002, 0.004)] * 4]
    first, again = (resample_percentiles(rounds, [50, 99], 7) for _ in range(2))
    assert first == again
    assert first != resample_percentiles(rounds, [50, 99], 8)


def test_draws_lie_around_the_figure() -> None:
    """The means of resamples are near the mean, and within the measured range."""
    draws = resample_means([1.0, 2.0, 3.0])
    assert len(draws) == RESAMPLES
    assert (min(draws), max(draws)) == (1.0, 3.0)
    assert sum(draws) / len(draws) == pytest.approx(2.0, abs=0.1)


def test_few_rounds_make_wide_intervals() -> None:
    """Few rounds widen the interval by Student's t: 4.30, 2.78, 2.10 for 2, 4, 18 degrees of freedom."""
    for k, student in ((2, 4.303), (3, 2.776), (10, 2.101)):
        wanted = student / 1.96 * (k / (k - 1)) ** 0.5
        assert small_sample_factor((k, k)) == pytest.approx(wanted, rel=0.04)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_thing_twice_is_no_difference(seed: int) -> None:
    """Equal latencies show no difference, within a run and between two runs."""
    one, two = (a_run({"websocket": 2.0, "sse": 2.0}, seed=2 * seed + n) for n in range(2))
    assert "No clear difference" in verdict.compare_transports(one)
    assert "No clear difference" in verdict.compare_runs(one, two, "websocket")
    assert verdict.check_limits([verdict.parse_limit("p99+20%")], one, two) == ([], [])


def test_a_true_difference_is_told_with_its_interval() -> None:
    """The sentence has the higher side, the change with its interval, and the basis."""
    sentence = verdict.compare_transports(a_run({"websocket": 2.0, "sse": 3.0}))
    assert sentence.startswith("SSE's p99 is ")
    assert " % higher than WebSocket's (95 % interval " in sentence
    assert sentence.endswith("from due time.")
    assert "% lower than" in verdict.compare_transports(a_run({"websocket": 3.0, "sse": 2.0}))
    found = compare("p99", *(a_run({"websocket": level}).of("websocket") for level in (2.0, 3.0)))
    assert found is not None
    assert found.low < 0.5 < found.high


def test_what_clocks_cannot_tell_is_no_difference() -> None:
    """A difference within the clock error is not clear, however narrow its interval."""
    run = a_run({"websocket": 2.0, "sse": 3.0})
    for one in run.rounds:
        one.clock_error = 50.0
    assert "within the clock error of 50 ms" in verdict.compare_transports(run)


def test_one_round_tells_nothing_of_how_rounds_differ() -> None:
    """One round has no variation to compare, and p99.9 needs more messages."""
    run = a_run({"websocket": 2.0, "sse": 9.0}, rounds=1)
    assert "needs two rounds" in verdict.compare_transports(run)
    few = a_run({"websocket": 2.0, "sse": 3.0})
    assert compare("p99.9", few.of("websocket"), few.of("sse")) is None


def test_a_failed_line_is_not_comparable() -> None:
    """A failed parity check replaces the verdict."""
    run = a_run({"websocket": 2.0, "sse": 9.0})
    run.parity = [ParityCheck("compression", "failed", "WebSocket none, SSE gzip")]
    assert verdict.compare_transports(run) == "Not comparable: compression: WebSocket none, SSE gzip."


@pytest.mark.parametrize(
    ("text", "shown"), [("p99+20%", "p99+20%"), (" p99.9+5.5%", "p99.9+5.5%"), ("rate-1%", "rate-1%")]
)
def test_limits_are_read(text: str, shown: str) -> None:
    """A limit is a metric, a sign, a number and %."""
    assert str(verdict.parse_limit(text)) == shown


@pytest.mark.parametrize("text", ["p99", "p98+1%", "p99-20%", "rate+1%", "p99+20", "p99+-1%", ""])
def test_invalid_limits_are_refused(text: str) -> None:
    """The error names valid limits. A limit in the direction of an improvement is not valid."""
    with pytest.raises(ValueError, match="is not a limit; give rate-N%"):
        verdict.parse_limit(text)


def test_a_limit_is_exceeded_only_beyond_chance() -> None:
    """A limit is exceeded if the end of the interval is beyond it, not the figure."""
    old, new = (a_run({"websocket": level}, rounds=6) for level in (2.0, 3.0))
    over, _ = verdict.check_limits([verdict.parse_limit("p99+20%")], old, new)
    assert len(over) == 1
    assert over[0].startswith("WebSocket: p99 +")
    assert verdict.check_limits([verdict.parse_limit("p99+45%")], old, new) == ([], [])
    assert verdict.check_limits([verdict.parse_limit("p99+20%")], new, old) == ([], [])


def test_a_limit_in_points() -> None:
    """The limit of `rate` is in percentage points; a figure without a difference exceeds no limit."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 2.0})
    for one in new.rounds:
        one.figures.kept = one.figures.due * 9 // 10
    over, _ = verdict.check_limits(
        [verdict.parse_limit("rate-5%"), verdict.parse_limit("loss+0%")], old, new
    )
    assert over == ["SSE: rate kept −10 points (−10 to −10) exceeds rate-5%"]  # noqa: RUF001 - a minus


def test_a_limit_that_cannot_be_checked_is_reported() -> None:
    """If one run lacks the figure, the limit is neither exceeded nor kept."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 2.0})
    for one in new.rounds:
        one.server_cpu = None
    over, undecided = verdict.check_limits([verdict.parse_limit("cpu+10%")], old, new)
    assert over == []
    assert undecided[0].startswith("SSE: cpu+10% could not be checked")


def test_runs_on_a_busy_machine_do_not_compare() -> None:
    """Latency does not compare if other processes were busy; bytes on the wire do."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 9.0})
    for one in new.rounds:
        one.others = 1.5
        one.received.bytes *= 2
    assert verdict.compare_runs(old, new, "sse").endswith("used 0.00 cores before and 1.50 now.")
    limits = [verdict.parse_limit("p99+200%"), verdict.parse_limit("bytes+20%")]
    [over], [undecided] = verdict.check_limits(limits, old, new)
    assert over.startswith("SSE: bytes per message +100 %")
    assert undecided.startswith("SSE: p99+200% could not be checked: other processes")


def test_what_is_far_beyond_its_limit_is_exceeded_on_a_busy_machine_too() -> None:
    """Other processes may cause a small difference, but not one from 0.6 to 21 ms."""
    old, new = a_run({"sse": 0.6}), a_run({"sse": 21.0})
    for one in new.rounds:
        one.others = 1.25
    [over], undecided = verdict.check_limits([verdict.parse_limit("p50+20%")], old, new)
    assert over.startswith("SSE: p50 +")
    assert undecided == []
    assert verdict.check_limits([verdict.parse_limit("p50+20%")], new, old)[0] == []


def test_runs_with_other_settings_are_reported() -> None:
    """Different settings may cause the difference, so a warning names them."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 2.0})
    assert verdict.setting_differences(old, new) == []
    new.settings = RunSettings(connections=5)
    assert "had -n 100, this one 5" in verdict.setting_differences(old, new)[0]
