"""The clock: ticks come when they are due, never bunched, never drifting."""

from __future__ import annotations

import pytest

from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import SLICE, Schedule


@pytest.fixture
def schedule(clock: VirtualClock) -> Schedule:
    return Schedule(clock)


def test_first_tick_comes_after_one_period(schedule: Schedule, clock: VirtualClock) -> None:
    """A tick runs at 1, 2, 3 ... periods after it was added and not at once."""
    ran: list[float] = []
    schedule.every(2.0, lambda: ran.append(clock.now))
    clock.advance(7.0)
    assert ran == [1002.0, 1004.0, 1006.0]


def test_deadlines_are_added_up_so_lateness_does_not_drift(
    schedule: Schedule, clock: VirtualClock
) -> None:
    """A tick that ran late is due again as if it had run in time."""
    ran: list[float] = []
    schedule.every(2.0, lambda: ran.append(clock.now))
    clock.stall(2.5)
    clock.advance(4.0)
    assert ran == [1002.5, 1004.0, 1006.0]


def test_whole_periods_missed_are_skipped_and_counted(schedule: Schedule, clock: VirtualClock) -> None:
    """After a stall of five periods one tick comes, not five."""
    ran: list[float] = []
    schedule.every(1.0, lambda: ran.append(clock.now))
    clock.stall(5.5)
    clock.advance(1.0)
    assert ran == [1005.5, 1006.0]
    assert schedule.skipped == 4


def test_late_ticks_go_back_to_their_own_place(schedule: Schedule, clock: VirtualClock) -> None:
    """Who joins while others are late does not push them back for good."""
    order: list[str] = []
    schedule.every(10.0, lambda: order.append("early"))
    clock.stall(10.0)
    clock.now += 3.0
    schedule.every(10.0, lambda: order.append("joined late"))
    clock.advance(0.0)
    order.clear()
    clock.advance(8.0)
    assert order == ["early"], "due at 1020, not at the newcomer's 1023"


def test_loop_gets_its_turn_after_a_slice(schedule: Schedule, clock: VirtualClock) -> None:
    """At most SLICE ticks run before anything else that waits for the loop."""
    order: list[str] = []
    for _ in range(SLICE * 2):
        schedule.every(1.0, lambda: order.append("tick"))
    clock.call_at(1001.0, lambda: order.append("other"))
    clock.advance(1.0)
    assert order.count("tick") == SLICE * 2
    assert order.index("other") == SLICE


def test_one_timer_serves_everything_of_a_period(schedule: Schedule, clock: VirtualClock) -> None:
    """A thousand ticks of one period ask the loop for one timer."""
    for _ in range(1000):
        schedule.every(3.0, lambda: None)
    assert len(clock._queue) == 1
    assert schedule.ticks == 1000


def test_cancelled_tick_never_runs_and_counts_no_more(schedule: Schedule, clock: VirtualClock) -> None:
    """Cancelling takes effect at once, twice does nothing, and the last one stops the timer."""
    ran: list[int] = []
    first = schedule.every(1.0, lambda: ran.append(1))
    second = schedule.every(1.0, lambda: ran.append(2))
    first.cancel()
    first.cancel()
    assert schedule.ticks == 1
    clock.advance(1.0)
    assert ran == [2]
    second.cancel()
    assert schedule.ticks == 0
    assert not schedule._lanes
    clock.advance(5.0)
    assert ran == [2]


def test_dead_ticks_do_not_pile_up(schedule: Schedule) -> None:
    """A long period with many comers and goers keeps only those who stayed."""
    schedule.every(3600.0, lambda: None)
    for _ in range(10_000):
        schedule.every(3600.0, lambda: None).cancel()
    lane = schedule._lanes[3600.0]
    assert len(lane) == 1
    assert len(lane._queue) < 200


def test_tick_may_cancel_itself(schedule: Schedule, clock: VirtualClock) -> None:
    """A callback that ends its own tick runs once."""
    ran: list[int] = []

    def once() -> None:
        ran.append(1)
        tick.cancel()

    tick = schedule.every(1.0, once)
    clock.advance(5.0)
    assert ran == [1]
    assert schedule.ticks == 0


def test_callback_that_raises_stops_nobody(schedule: Schedule, clock: VirtualClock) -> None:
    """An error in one callback reaches the loop, and every tick goes on."""
    ran: list[int] = []

    def fail() -> None:
        raise RuntimeError("broken")

    schedule.every(1.0, fail)
    schedule.every(1.0, lambda: ran.append(1))
    with pytest.raises(RuntimeError):
        clock.advance(1.0)
    clock.advance(0.0)
    assert ran == [1]


def test_lag_is_recorded(schedule: Schedule, clock: VirtualClock) -> None:
    """The lag of a tick is how long after its deadline it ran."""
    schedule.every(1.0, lambda: None)
    clock.stall(1.25)
    clock.advance(0.0)
    assert schedule.lag.count == 1
    assert schedule.lag.maximum == pytest.approx(0.25)


def test_close_drops_everything(schedule: Schedule, clock: VirtualClock) -> None:
    """After close no tick runs."""
    ran: list[int] = []
    schedule.every(1.0, lambda: ran.append(1))
    schedule.close()
    clock.advance(10.0)
    assert ran == []
    assert schedule.ticks == 0
