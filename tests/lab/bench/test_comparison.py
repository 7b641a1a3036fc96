"""Comparisons and verdicts: which differences are clear, and which are not."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from rtdemo.lab.bench import advice, regression, verdict
from rtdemo.lab.bench.bootstrap import (
    RESAMPLES,
    resample_means,
    resample_percentiles,
    small_sample_factor,
)
from rtdemo.lab.bench.comparison import EQUAL_MS, MIN_DIFFERENCE_MS, Comparison, Difference
from rtdemo.lab.bench.fairness import NOT_RTDEMO
from rtdemo.lab.bench.result import ParityCheck, Run, RunSettings, Verdict
from rtdemo.lab.bench.run import planned_turns, turn_order
from rtdemo.lab.bench.target import split_connections
from rtdemo.protocol.client import Transport
from tests.lab.bench.made_runs import a_round, a_run, latencies


def between_transports(run: Run) -> Verdict:
    comparison = verdict.transport_comparison(run)
    assert comparison is not None
    return verdict.compare_transports(run, comparison)


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


@pytest.mark.uncovered
@pytest.mark.parametrize("seed", range(4))
def test_the_same_thing_twice_is_equal(seed: int) -> None:
    """Equal latencies are equal, within a run and between two runs, and exceed no limit."""
    one, two = (a_run({"websocket": 1.0, "sse": 1.0}, seed=2 * seed + n) for n in range(2))
    assert between_transports(one).code == "equal"
    assert verdict.compare_runs(one, two, "websocket").code == "as-fast-as-before"
    assert regression.check_limits([regression.parse_limit("p99+20%")], one, two) == ([], [])


def test_a_true_difference_is_told_in_milliseconds() -> None:
    """The sentence has the faster side, the interval of the difference, and the percentile."""
    found = between_transports(a_run({"websocket": 2.0, "sse": 6.0}))
    assert found.code == "websocket-faster"
    assert re.fullmatch(r"WebSocket is [\d.]+ to [\d.]+ ms faster at p99\.", found.sentence)
    assert found.low_ms is not None
    assert found.high_ms is not None
    # The 99th percentile of these distributions is 2.5 times their median.
    assert found.low_ms < 4.0 * 2.5 < found.high_ms
    assert between_transports(a_run({"websocket": 6.0, "sse": 2.0})).code == "sse-faster"


def test_equality_is_a_claim_of_its_own() -> None:
    """Without enough rounds to exclude a difference that counts, the verdict is not "equal"."""
    run = a_run({"websocket": 9.0, "sse": 9.0}, rounds=3)
    found = between_transports(run)
    assert found.code == "undecided"
    start = "Not decided: the difference at p99 is between \N{MINUS SIGN}"
    assert found.sentence.startswith(start)
    assert re.fullmatch(
        r"[\d.]+ ms \(SSE faster\) and \+[\d.]+ ms \(WebSocket faster\);"
        r" (more rounds would tell: --rounds \d+|try a quieter machine or network)\.",
        found.sentence.removeprefix(start),
    )


def test_equal_prints_its_bound() -> None:
    """The bound is the larger end of both intervals, and at least 0.5 ms."""
    found = between_transports(a_run({"websocket": 1.0, "sse": 1.0}))
    assert found.bound_ms is not None
    assert MIN_DIFFERENCE_MS <= found.bound_ms <= EQUAL_MS
    bound = re.fullmatch(r"Equally fast here \(difference under ([\d.]+) ms\)\.", found.sentence)
    assert bound is not None
    assert float(bound[1]) >= found.bound_ms


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.6, 0.9, "more"),
        (-0.9, -0.6, "less"),
        (0.4, 0.9, "equal"),
        (-0.9, 0.9, "equal"),
        (-1.1, 0.9, "undecided"),
        (0.4, 1.1, "undecided"),
    ],
)
def test_the_whole_interval_decides(low: float, high: float, outcome: str) -> None:
    """A side is named beyond 0.5 ms, and equality within 1 ms; anything between is undecided."""
    found = Difference("p99", 3.0, 3.0, low, high, 0, 0, least=MIN_DIFFERENCE_MS, equal=EQUAL_MS)
    assert found.outcome == outcome


def test_the_limits_grow_with_the_latency() -> None:
    """Buckets are within 1.6 % of the latency, and 5 % of it count as none."""
    slow = a_run({"websocket": 1000.0, "sse": 1000.0})
    found = Comparison(slow.of("websocket"), slow.of("sse")).difference("p50")
    assert found is not None
    assert found.least == pytest.approx(31, abs=5)
    assert found.equal == pytest.approx(50, abs=8)


def test_what_clocks_cannot_tell_is_no_difference() -> None:
    """Two runs have independent clocks: a difference within both errors names neither."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 6.0})
    assert verdict.compare_runs(old, new, "sse").code == "slower-than-before"
    for one in (*old.rounds, *new.rounds):
        one.clock_error = 50.0
    assert verdict.compare_runs(old, new, "sse").code == "undecided"


def test_the_common_error_of_a_clock_cancels_within_a_run() -> None:
    """All rounds of a run share a reading of the clock. Its error counts only if the reading changed."""
    run = a_run({"websocket": 2.0, "sse": 6.0})
    for one in run.rounds:
        one.clock_error = 50.0
    assert between_transports(run).code == "websocket-faster"
    run.rounds[0].clock_offset = 1050.0
    assert between_transports(run).code == "undecided"
    for one in run.rounds:
        one.clock_offset = None
    assert between_transports(run).code == "undecided"


def test_few_rounds_tell_nothing_of_how_rounds_differ() -> None:
    """One round has no variation to compare, two may be alike by chance; p99.9 needs more messages."""
    two = between_transports(a_run({"websocket": 2.0, "sse": 9.0}, rounds=2))
    assert two.code == "too-little-data"
    found = between_transports(a_run({"websocket": 2.0, "sse": 9.0}, rounds=1))
    assert found.code == "too-little-data"
    assert found.sentence == "Too little data: 1 round of each; at least 3 are needed: --rounds 3."
    few = a_run({"websocket": 2.0, "sse": 3.0})
    assert Comparison(few.of("websocket"), few.of("sse")).difference("p99.9") is None


def test_too_little_data_names_the_flags_that_give_enough() -> None:
    """With fewer than 1,000 messages there is no verdict, but an advice."""
    run = a_run({"websocket": 2.0, "sse": 2.0}, messages=3)
    for one in run.rounds:
        one.figures.periods = {}
    found = between_transports(run)
    assert found.sentence == (
        "Too little data: 90 messages; about 1,000 are needed: -n 204 --seconds 60."
    )
    assert (found.code, found.flags) == ("too-little-data", "-n 204 --seconds 60")
    enough = a_run({"websocket": 2.0, "sse": 2.0}, messages=30)
    advised = "about 1,000 are needed: --seconds 15, or sooner with --speed 2."
    assert between_transports(enough).sentence.endswith(advised)
    assert between_transports(enough).flags == "--seconds 15"


def test_faster_rate_is_advised_only_where_it_gives_more() -> None:
    """Another server ignores --speed, and so may the producers that a user names."""
    run = a_run({"websocket": 2.0, "sse": 2.0}, messages=30)
    of_another = replace(run, environment=replace(run.environment, server=NOT_RTDEMO))
    of_named = replace(run, settings=replace(run.settings, producers="ticks"))
    for one in (of_another, of_named):
        assert between_transports(one).sentence.endswith("about 1,000 are needed: --seconds 15.")
    single = a_run({"sse": 2.0}, messages=30)
    [found] = verdict.verdicts(single, None, None)
    assert found.sentence.endswith("are needed: --seconds 15, or sooner with --speed 2.")


def test_few_messages_do_not_show_the_rate() -> None:
    """With hardly any message, the periods that the server lists show how many more are needed."""
    run = a_run({"websocket": 2.0, "sse": 2.0}, messages=0)
    for one in run.rounds:
        one.connections, one.figures.periods = 100, {"message": 20_000.0}
    run.settings = RunSettings(connections=100, seconds=10.0, rounds=3)
    # 100 connections for 30 s, a message every 20 s: 150 are expected.
    assert between_transports(run).flags == "-n 123 --seconds 60"


@pytest.mark.parametrize(
    ("given", "messages", "flags"),
    [
        (RunSettings(1, 1, 1), 0.5, "--rounds 3 -n 13 --seconds 60"),
        (RunSettings(100, 10, 3), 999, "--seconds 15"),
        (RunSettings(1, 600, 3), 10, "-n 110"),
        (RunSettings(10, 2, 1), 5000, "--rounds 3"),
    ],
)
def test_advised_flags(given: RunSettings, messages: float, flags: str) -> None:
    """First more rounds if there is one, then longer ones, then more connections."""
    assert advice.flags_for_messages(given, messages, 1000) == flags


@pytest.mark.parametrize(
    ("given", "messages", "periods", "flags"),
    [
        (RunSettings(20, 5, 3), 150, [2000.0, 3000.0], "--speed 8"),
        (RunSettings(20, 5, 3, speed=2), 150, [1000.0], "--speed 15"),
        (RunSettings(1, 1, 1), 0.5, [2000.0], "--rounds 3 --seconds 40 --speed 20"),
        # A producer runs every 10 ms at most.
        (RunSettings(20, 5, 3), 150, [20.0], "--seconds 20 --speed 2"),
        (RunSettings(20, 5, 3), 150, [10.0], ""),
        (RunSettings(20, 5, 3, speed=20), 150, [100.0], ""),
        (RunSettings(20, 5, 3), 150, [], ""),
        (RunSettings(1, 600, 3), 10, [2000.0], ""),
        (RunSettings(10, 2, 1), 5000, [2000.0], ""),
    ],
)
def test_flags_that_give_enough_sooner(
    given: RunSettings, messages: float, periods: list[float], flags: str
) -> None:
    """A higher speed, where rounds become shorter by it than without it."""
    assert advice.faster_flags(given, messages, 1000, periods) == flags


@pytest.mark.parametrize(
    ("given", "messages", "most", "sentence"),
    [
        (
            RunSettings(20, 5, 3),
            150,
            210,
            "about 150 messages; about 1,000 are needed: --seconds 40, or sooner with --speed 8",
        ),
        (RunSettings(20, 5, 3), 950, 1010, ""),
        (RunSettings(100, 30, 2), 3000, 3200, "rounds of each: 2; at least 3 are needed: --rounds 3"),
        (RunSettings(100, 30, 2, transports=("sse",)), 3000, 3200, ""),
        (RunSettings(6, 1, 3), 9, 27, ""),
    ],
)
def test_forecast_of_too_little_data(
    given: RunSettings, messages: float, most: float, sentence: str
) -> None:
    """Only where it is certain, with the flags that the verdict would advise; not for a few seconds."""
    whole = sentence and f"this run will have too little data: {sentence}"
    assert advice.forecast(given, messages, most, 1000, [2000.0]) == whole


def test_advised_rounds_decide() -> None:
    """The advised number of rounds is enough in a run with the same variation."""
    run = a_run({"websocket": 4.0, "sse": 4.0}, rounds=3)
    found = between_transports(run)
    assert found.flags.startswith("--rounds ")
    again = a_run({"websocket": 4.0, "sse": 4.0}, rounds=int(found.flags.split()[1]))
    assert between_transports(again).code in ("equal", "equal-at-p99", "equal-at-p50")


def test_an_undecided_run_goes_on_until_it_is_decided() -> None:
    """It judges where planned rounds end, says that it goes on, and keeps the turns balanced."""
    run = a_run({"websocket": 4.0, "sse": 4.0}, rounds=0)
    run.settings = replace(run.settings, rounds=3, max_rounds=40)
    said: list[str] = []
    counts = set()
    for number, of, transport in planned_turns(run, said.append):
        assert number == len(run.rounds) + 1
        counts.add(of)
        run.rounds.append(a_round(transport, 4.0, seed=999 + number))
    assert between_transports(run).code == "equal"
    assert [one.transport for one in run.rounds] == turn_order(("websocket", "sse"), max(counts) // 2)
    assert 6 in counts
    assert len(counts) == len(said) + 1 > 1
    assert said[0].startswith("not decided after 3 rounds of each; measuring ")


@pytest.mark.parametrize(
    ("most", "levels"),
    [
        (3, {"websocket": 4.0, "sse": 4.0}),
        (40, {"websocket": 4.0, "sse": 40.0}),
        (40, {"sse": 4.0}),
    ],
    ids=["the user chose the number", "decided", "one transport"],
)
def test_no_run_goes_on_without_need(most: int, levels: dict[Transport, float]) -> None:
    """A number of rounds that the user gave is kept; a decided run ends; so does a single transport."""
    run = a_run(levels, rounds=0)
    run.settings = replace(run.settings, rounds=3, max_rounds=most)
    said: list[str] = []
    for number, _, transport in planned_turns(run, said.append):
        run.rounds.append(a_round(transport, levels[transport], seed=number))
    assert len(run.rounds) == 3 * len(levels)
    assert said == []


def test_a_run_goes_on_up_to_its_largest_number_of_rounds() -> None:
    """If that does not decide it, the verdict says how many would."""
    run = a_run({"websocket": 4.0, "sse": 4.0}, rounds=0)
    run.settings = replace(run.settings, rounds=3, max_rounds=4)
    for number, _, transport in planned_turns(run, lambda _: None):
        run.rounds.append(a_round(transport, 4.0, seed=999 + number))
    assert len(run.rounds) == 8
    assert between_transports(run).flags.startswith("--rounds ")


def test_few_rounds_do_not_show_that_more_would_not_help() -> None:
    """A run with three far apart ones goes on, and ends once ten or more tell the same."""
    run = a_run({"websocket": 4.0, "sse": 4.0}, rounds=0)
    run.settings = replace(run.settings, rounds=3, max_rounds=40)
    for number, _, transport in planned_turns(run, lambda _: None):
        run.rounds.append(a_round(transport, (4.0, 400.0)[number % 3 == 0], seed=number))
    assert len(run.rounds) == 2 * 12
    assert between_transports(run).flags == ""


def test_bench_goes_on_for_about_five_minutes() -> None:
    """At the most, and with whole rounds: long ones end after three."""
    assert advice.max_rounds(13.5, 2) == 11
    assert advice.max_rounds(4.5, 2) == 33
    assert advice.max_rounds(600, 2) == 3
    assert advice.max_rounds(1, 1) == 50


def test_opposite_differences_are_both_told() -> None:
    """A side that is faster at p99 is named first, and the other one with what it is better at."""
    run = a_run({"websocket": 2.0, "sse": 8.0}, rounds=4)
    for one in run.of("websocket"):
        for block in one.figures.blocks:
            # 2 % of the messages of the faster side are very slow.
            block.due.record(0.5, times=4)
    sentence = between_transports(run).sentence
    assert re.fullmatch(r"SSE is .* ms faster at p99, but WebSocket is .* ms faster at p50\.", sentence)


def test_without_sent_at_latency_is_unknown() -> None:
    """The headline says so, and has the gaps."""
    run = a_run({"sse": 2.0})
    for one in run.rounds:
        one.figures.untimed = one.figures.messages
        for block in one.figures.blocks:
            block.gap, block.sent, block.due = block.sent, latencies(), latencies()
    [found] = verdict.verdicts(run, None, None)
    assert found.code == "latency-unknown"
    assert re.fullmatch(
        r"Latency is unknown without `sentAt`; 99 % of the gaps between messages are at most"
        r" [\d.]+ ms over SSE\.",
        found.sentence,
    )


def test_one_transport_is_measured_without_a_comparison() -> None:
    """The headline has the median and p99, or what is missing for them."""
    [found] = verdict.verdicts(a_run({"sse": 2.0}), None, None)
    assert re.fullmatch(
        r"SSE delivers half of the messages within [\d.]+ ms, and 99 % within [\d.]+ ms\.",
        found.sentence,
    )
    [found] = verdict.verdicts(a_run({"sse": 2.0}, messages=3), None, None)
    assert found.code == "too-little-data"


def test_lost_messages_are_told() -> None:
    """A transport that loses messages is not only fast."""
    run = a_run({"websocket": 1.0, "sse": 1.0})
    run.of("sse")[0].figures.lost = 40
    first, second = verdict.verdicts(run, None, verdict.transport_comparison(run))
    assert first.code == "equal"
    assert second.sentence == "SSE lost 40 messages (0.65 %)."


def test_a_failed_line_is_not_comparable() -> None:
    """A failed parity check replaces the verdict."""
    run = a_run({"websocket": 2.0, "sse": 9.0})
    run.parity = [ParityCheck("compression", "failed", "WebSocket none, SSE gzip")]
    found = between_transports(run)
    assert found.code == "not-comparable"
    assert found.sentence == "Not comparable: compression: WebSocket none, SSE gzip."


def test_what_got_worse_comes_first() -> None:
    """With --compare, a transport that got slower is before one that did not."""
    old, new = a_run({"websocket": 1.0, "sse": 2.0}), a_run({"websocket": 1.0, "sse": 8.0}, seed=2)
    codes = [one.code for one in verdict.verdicts(new, old, verdict.transport_comparison(new))]
    assert codes == ["slower-than-before", "as-fast-as-before", "websocket-faster"]


@pytest.mark.parametrize(
    ("text", "shown"), [("p99+20%", "p99+20%"), (" p99.9+5.5%", "p99.9+5.5%"), ("rate-1%", "rate-1%")]
)
def test_limits_are_read(text: str, shown: str) -> None:
    """A limit is a metric, a sign, a number and %."""
    assert str(regression.parse_limit(text)) == shown


@pytest.mark.parametrize("text", ["p99", "p98+1%", "p99-20%", "rate+1%", "p99+20", "p99+-1%", ""])
def test_invalid_limits_are_refused(text: str) -> None:
    """The error names valid limits. A limit in the direction of an improvement is not valid."""
    with pytest.raises(ValueError, match="is not a limit; give rate-N%"):
        regression.parse_limit(text)


def test_a_limit_is_exceeded_only_beyond_chance() -> None:
    """A limit is exceeded if the end of the interval is beyond it, not the figure."""
    old, new = (a_run({"websocket": level}, rounds=6) for level in (2.0, 3.0))
    over, _ = regression.check_limits([regression.parse_limit("p99+20%")], old, new)
    assert len(over) == 1
    assert re.fullmatch(
        r"WebSocket: p99 went from [\d.]+ to [\d.]+ ms \([\d.]+ to [\d.]+ % more\): over p99\+20%",
        over[0],
    )
    assert regression.check_limits([regression.parse_limit("p99+45%")], old, new) == ([], [])
    assert regression.check_limits([regression.parse_limit("p99+20%")], new, old) == ([], [])


def test_a_limit_in_points() -> None:
    """The limit of `rate` is in percentage points; a figure without a difference exceeds no limit."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 2.0})
    for one in new.rounds:
        one.figures.kept = one.figures.due * 9 // 10
    over, _ = regression.check_limits(
        [regression.parse_limit("rate-5%"), regression.parse_limit("loss+0%")], old, new
    )
    assert over == ["SSE: rate kept went from 100.0 to 90.00 % (10.0 points less): over rate-5%"]


def test_a_limit_that_cannot_be_checked_is_reported() -> None:
    """If one run lacks the figure, the limit is neither exceeded nor kept."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 2.0})
    for one in new.rounds:
        one.server_cpu = None
    over, undecided = regression.check_limits([regression.parse_limit("cpu+10%")], old, new)
    assert over == []
    assert undecided[0].startswith("SSE: cpu+10% could not be checked")


def test_runs_on_a_busy_machine_do_not_compare() -> None:
    """Latency does not compare if other processes were busy; bytes on the wire do."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 9.0})
    for one in new.rounds:
        one.others = 1.5
        one.received.bytes *= 2
    found = verdict.compare_runs(old, new, "sse")
    assert found.code == "not-comparable"
    assert found.sentence.endswith("used 0.00 cores before and 1.50 now.")
    limits = [regression.parse_limit("p99+200%"), regression.parse_limit("bytes+20%")]
    [over], [undecided] = regression.check_limits(limits, old, new)
    assert over.startswith("SSE: bytes per message went from 100.0 to 200.0 B (100 % more)")
    assert undecided.startswith("SSE: p99+200% could not be checked: other processes")


def test_what_is_far_beyond_its_limit_is_exceeded_on_a_busy_machine_too() -> None:
    """Other processes may cause a small difference, but not one from 0.6 to 21 ms."""
    old, new = a_run({"sse": 0.6}), a_run({"sse": 21.0})
    for one in new.rounds:
        one.others = 1.25
    [over], undecided = regression.check_limits([regression.parse_limit("p50+20%")], old, new)
    assert over.startswith("SSE: p50 went from 0.6")
    assert undecided == []
    assert regression.check_limits([regression.parse_limit("p50+20%")], new, old)[0] == []


def test_runs_with_other_settings_are_reported() -> None:
    """Different settings may cause the difference, so a warning names them."""
    old, new = a_run({"sse": 2.0}), a_run({"sse": 2.0})
    assert regression.setting_differences(old, new) == []
    new.settings = RunSettings(connections=5)
    [found] = regression.setting_differences(old, new)
    assert found.code == "other-settings"
    assert "had -n 100, this one 5" in found.text


def test_old_run_without_latencies_is_not_too_little_data() -> None:
    """No flag of the new run can change what the old one lacks."""
    old, new = (a_run({"websocket": 2.0, "sse": 2.0}, seed=seed) for seed in (1, 2))
    for one in old.rounds:
        one.figures.untimed = one.figures.messages
    found = verdict.compare_runs(old, new, "sse")
    assert found.code == "latency-unknown"
    assert found.sentence == "SSE is not comparable with before: the old run has no latencies."
