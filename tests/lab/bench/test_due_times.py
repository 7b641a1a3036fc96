"""When messages were due: examples by hand, and arbitrary schedules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdemo.lab.bench import due_times
from rtdemo.lab.bench.due_times import DueMessage

P = 100.0


def due(
    sent: list[float], window: tuple[float, float], end: float, is_declared: bool = True
) -> list[DueMessage]:
    return due_times.due_messages(sent, sent, P, is_declared, window, end)


def test_punctual_messages_wait_for_nothing() -> None:
    """Each punctual message has its own tick and no wait."""
    sent = [1000 + P * n for n in range(5)]
    assert due(sent, (1000, 1500), 1600) == [(at, 0.0, True) for at in sent]


def test_a_burst_after_a_stall_gets_one_tick_each() -> None:
    """After a stall setInterval sends a burst: each message is late by the time that it waited."""
    sent = [0.0, 100.0, 550.0, 550.0, 550.0, 550.0, 600.0, 700.0]
    found = due(sent, (0, 800), 800)
    assert [round(wait) for _, wait, _ in found] == [0, 0, 350, 250, 150, 50, 0, 0]
    assert all(came for _, _, came in found)


def test_ticks_that_are_left_out_wait_for_the_next_message() -> None:
    """Rtdemo skips ticks after a stall: they did not arrive, and wait for the next message."""
    found = due([0.0, 100.0, 540.0, 600.0], (0, 700), 700)
    assert [(round(wait), came) for _, wait, came in found] == [
        *[(0, True), (0, True)],
        *[(340, False), (240, False), (140, False)],
        *[(40, True), (0, True)],
    ]


def test_what_never_comes_waits_until_the_end() -> None:
    """A server that stalls until after the window has messages that did not arrive."""
    found = due([0.0, 100.0], (0, 400), 900)
    assert [(round(wait), came) for _, wait, came in found] == [
        *[(0, True), (0, True)],
        *[(700, False), (600, False)],
    ]


def test_only_the_window_counts() -> None:
    """The window includes its begin, and not its end."""
    sent = [P * n for n in range(10)]
    assert [at for at, _, _ in due(sent, (250, 500), 1000)] == [300, 400]
    assert [at for at, _, _ in due(sent, (200, 400), 1000)] == [200, 300]


def test_what_was_due_before_a_streams_first_message_did_not_come() -> None:
    """Earlier messages were due if the server lists the period. If it is estimated, they are unknown."""
    found = due([300.0, 400.0], (0, 500), 1000)
    assert found == [
        *[(0, 300, False), (100, 200, False), (200, 100, False)],
        *[(300, 0, True), (400, 0, True)],
    ]
    assert [at for at, _, _ in due([300.0, 400.0], (0, 500), 1000, False)] == [300, 400]


def test_a_connection_that_got_nothing_kept_nothing() -> None:
    """An empty stream of a listed producer has a tick each period, and each waits until the end."""
    assert due([], (50, 350), 1000) == [
        *[(50, 950, False), (150, 850, False), (250, 750, False)],
    ]
    assert due([], (50, 350), 1000, False) == []


def test_the_anchor_is_no_message_that_came_after_a_stall() -> None:
    """The anchor has the phase of the punctual messages, also if a stalled one has an earlier phase."""
    punctual = [1000 + P * n + n % 3 for n in range(9)]
    for stalled in (940.0, 895.0):
        assert due_times.anchor([stalled, *punctual], P) % P == pytest.approx(0.0)


def test_a_grid_that_moves_is_followed() -> None:
    """With Node's setInterval a late message delays the later ones, and only it counts as late."""
    sent = [0.0, 100.0, 260.0, 360.0, 460.0, 563.0, 663.0]
    found = due_times.due_messages(sent, sent, P, False, (0, 700), 700)
    assert [(round(wait), came) for _, wait, came in found] == [
        (wait, True) for wait in (0, 0, 60, 0, 0, 3, 0)
    ]


def test_a_late_message_moves_no_grid_to_which_later_ones_return() -> None:
    """If later messages are on the old grid, it has not moved, also with an estimated period."""
    sent = [0.0, 100.0, 240.0, 300.0, 550.0, 550.0, 600.0]
    found = due_times.due_messages(sent, sent, P, False, (0, 700), 700)
    assert [round(wait) for _, wait, _ in found] == [0, 0, 40, 0, 150, 50, 0]


@given(st.integers(14, 40), st.floats(0, 1e6), st.integers(0, 8), st.floats(1, 450), st.booleans())
def test_any_stall_is_found_again(
    count: int, start: float, stall: int, length: float, catches_up: bool
) -> None:
    """Delayed messages keep their ticks if the server catches up; skipped ticks are missing."""
    due_at = [start + P * n for n in range(count)]
    release = due_at[stall] + length
    delayed = [n for n, at in enumerate(due_at) if due_at[stall] <= at < release]
    kept = [n for n in range(count) if catches_up or n not in delayed[:-1]]
    sent = [release if n in delayed else due_at[n] for n in kept]
    found = due_times.assign_ticks(sent, P, is_fixed=True).ticks
    # Count from the last message, which is punctual.
    assert [tick - found[-1] for tick in found] == [n - kept[-1] for n in kept]


@pytest.mark.parametrize("drift", [0.0, 0.37, -2.0])
def test_the_period_is_estimated(drift: float) -> None:
    """The period is estimated from whole milliseconds, with a drift, over several connections."""
    period = 100.0 + drift
    streams = [[float(int(start + period * n)) for n in range(200)] for start in (0.0, 33.0, 71.5)]
    assert due_times.estimate_period(streams) == pytest.approx(period, abs=0.02)


def test_the_period_is_estimated_through_stalls() -> None:
    """A stall of five periods in every ten does not change the estimate, with or without a burst."""
    late = [[1000.0 * s + max(500.0, P * n) for s in range(10) for n in range(10)]]
    assert due_times.estimate_period(late) == pytest.approx(100.0, rel=0.01)
    skipped = [[1000.0 * s + P * n for s in range(10) for n in range(5, 10)]]
    assert due_times.estimate_period(skipped) == pytest.approx(100.0, rel=0.01)


def test_what_has_no_period_has_no_due_instants() -> None:
    """Random gaps, too few messages, or all messages at once have no period."""
    chance = [[0.0, 3000.0, 24000.0, 27000.0, 45000.0, 57000.0, 90000.0]]
    assert due_times.estimate_period(chance) is None
    assert due_times.estimate_period([[0.0, 100.0, 200.0]]) is None
    assert due_times.estimate_period([[5.0] * 10]) is None
    assert due_times.estimate_period([]) is None
