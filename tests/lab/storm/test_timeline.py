"""Counts over time, and the figures that are made of them."""

from __future__ import annotations

from rtdemo.lab.storm.charts import axis_steps
from rtdemo.lab.storm.timeline import Timeline, busiest_second, time_until


def test_counts_fall_into_steps_of_a_tenth() -> None:
    """Nothing counts before it begins, and later steps are empty."""
    now = 5.0
    timeline = Timeline(lambda: now)
    timeline.add("opened")
    timeline.begin(7)
    for at, name in ((5.0, "ended"), (5.05, "ended"), (5.25, "opened"), (9.0, "opened")):
        now = at
        timeline.add(name)
    assert timeline.counts("ended", 4) == [2, 0, 0, 0]
    assert timeline.counts("opened", 4) == [0, 0, 1, 0]
    assert timeline.connected(4) == [5, 5, 6, 6]


def test_busiest_second_may_begin_with_any_step() -> None:
    assert busiest_second([0] * 15 + [3] + [0] * 8 + [4, 5]) == 9
    assert busiest_second([5] + [0] * 9 + [5]) == 5
    assert busiest_second([]) == 0


def test_share_of_clients_is_reached_or_not() -> None:
    """Of 100 clients, 99 % are 99; one that is not back counts."""
    times = [float(at) for at in range(99)]
    assert time_until([*times, None], 99) == 98.0
    assert time_until([*times, None], 100) is None
    assert time_until([1.0], 50) == 1.0
    assert time_until([], 50) is None


def test_axis_has_round_numbers_over_the_largest_value() -> None:
    assert axis_steps(0) == [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
    assert axis_steps(12) == [0, 2, 4, 6, 8, 10, 12]
    assert axis_steps(2_756) == [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000]
