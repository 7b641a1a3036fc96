"""Periodic callbacks: they run when due, without drift and without bursts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from rtdemo.testing import VirtualClock, VirtualTimer
from rtdemo.timing.schedule import SLOT_S, TICKS_PER_TURN, Schedule


class CountingClock(VirtualClock):
    """A virtual clock that counts the timers that were asked for."""

    timers = 0

    def call_at(self, when: float, callback: Callable[[], object]) -> VirtualTimer:
        self.timers += 1
        return super().call_at(when, callback)


@pytest.fixture
def schedule(clock: VirtualClock) -> Schedule:
    return Schedule(clock)


def test_first_tick_comes_after_one_period(schedule: Schedule, clock: VirtualClock) -> None:
    """A tick runs 1, 2, 3 ... periods after it was added, and not immediately."""
    ran: list[float] = []
    schedule.every(2.0, lambda: ran.append(clock.now))
    clock.advance(7.0)
    assert ran == [1002.0, 1004.0, 1006.0]


def test_late_tick_does_not_delay_the_next_one(schedule: Schedule, clock: VirtualClock) -> None:
    """The next run is due one period after the previous due time, not after the late run."""
    ran: list[float] = []
    schedule.every(2.0, lambda: ran.append(clock.now))
    clock.stall(2.5)
    clock.advance(4.0)
    assert ran == [1002.5, 1004.0, 1006.0]


def test_whole_periods_missed_are_skipped_and_counted(schedule: Schedule, clock: VirtualClock) -> None:
    """After a stall of five periods a tick runs once, not five times."""
    ran: list[float] = []
    schedule.every(1.0, lambda: ran.append(clock.now))
    clock.stall(5.5)
    clock.advance(1.0)
    assert ran == [1005.5, 1006.0]
    assert schedule.skipped == 4


def test_tick_added_during_a_stall_does_not_delay_late_ticks(
    schedule: Schedule, clock: VirtualClock
) -> None:
    """A late tick is queued before a tick that was added during the stall and is due later."""
    order: list[str] = []
    schedule.every(10.0, lambda: order.append("early"))
    clock.stall(10.0)
    clock.now += 3.0
    schedule.every(10.0, lambda: order.append("added late"))
    clock.advance(0.0)
    order.clear()
    clock.advance(8.0)
    assert order == ["early"], "due at 1020, not at 1023 as the tick that was added late"


def test_ticks_stay_in_order_when_some_skip_a_period_and_some_do_not(
    schedule: Schedule, clock: VirtualClock
) -> None:
    """After a stall of one and a half periods, each tick runs at its own next time."""
    ran: list[tuple[float, int]] = []

    def run(number: int) -> None:
        ran.append((clock.now, number))

    for number in range(8):
        schedule.every(8.0, partial(run, number), first=1.0 + number)
    clock.stall(12.5)
    clock.advance(0.0)
    ran.clear()
    clock.advance(8.0)
    assert ran == [(1013.0 + step, (4 + step) % 8) for step in range(8)]


def test_loop_gets_its_turn_after_some_ticks(schedule: Schedule, clock: VirtualClock) -> None:
    """At most TICKS_PER_TURN ticks run before other callbacks of the loop."""
    order: list[str] = []
    for _ in range(TICKS_PER_TURN * 2):
        schedule.every(1.0, lambda: order.append("tick"))
    clock.call_at(1001.0, lambda: order.append("other"))
    clock.advance(1.0)
    assert order.count("tick") == TICKS_PER_TURN * 2
    assert order.index("other") == TICKS_PER_TURN


def test_ticks_of_one_period_share_one_timer() -> None:
    """A thousand ticks of one period need one timer of the loop."""
    clock = CountingClock()
    schedule = Schedule(clock)
    for _ in range(1000):
        schedule.every(3.0, lambda: None)
    assert clock.timers == 1
    assert schedule.ticks == 1000


@pytest.mark.parametrize("period", [0.01, 0.1234, 2.0])
def test_ticks_of_one_slot_run_together(schedule: Schedule, clock: VirtualClock, period: float) -> None:
    """Ticks that were added within one slot run at the same time, none early, at exact periods."""
    clock.advance(SLOT_S / 10)
    added, ran = [], []
    for _ in range(4):
        added.append(clock.time())
        schedule.every(period, lambda: ran.append(clock.time()))
        clock.advance(SLOT_S / 10)
    clock.advance(period + SLOT_S)
    first = ran[:4]
    assert len(set(first)) == 1
    assert added[-1] + period <= first[0] <= added[0] + period + 1.5 * SLOT_S
    clock.advance(1000 * period)
    assert ran[4000:4004] == pytest.approx([first[0] + 1000 * period] * 4, abs=1e-6)


def test_queues_share_wake_ups() -> None:
    """Ticks of different periods in the same slot need one timer."""
    clock = CountingClock(1000.0)
    schedule = Schedule(clock)
    schedule.every(2.0, lambda: None)
    clock.advance(SLOT_S / 5)
    schedule.every(3.0, lambda: None)
    timers = clock.timers
    clock.advance(6.0 + SLOT_S)
    # At 2, 3, 4 and 6 s, and one for the next.
    assert clock.timers - timers <= 5


def test_cancelled_tick_never_runs_and_is_not_counted(schedule: Schedule, clock: VirtualClock) -> None:
    """Cancelling works at once and only once; after the last tick nothing is left."""
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
    assert not schedule.periods
    clock.advance(5.0)
    assert ran == [2]


def test_cancelled_ticks_are_removed(schedule: Schedule) -> None:
    """A queue of a long period holds few cancelled ticks, however many were cancelled."""
    schedule.every(3600.0, lambda: None)
    for _ in range(10_000):
        schedule.every(3600.0, lambda: None).cancel()
    assert schedule.ticks == 1
    assert schedule.queued < 200


def test_tick_may_cancel_itself(schedule: Schedule, clock: VirtualClock) -> None:
    """A callback that cancels its own tick in its first run runs once."""
    ran: list[int] = []

    def once() -> None:
        ran.append(1)
        tick.cancel()

    tick = schedule.every(1.0, once)
    clock.advance(5.0)
    assert ran == [1]
    assert schedule.ticks == 0


def test_callback_that_raises_stops_no_other(schedule: Schedule, clock: VirtualClock) -> None:
    """The error reaches the loop, and the other callbacks still run."""
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
    """The lag of a tick is the time from its due time to its run."""
    schedule.every(1.0, lambda: None)
    clock.stall(1.25)
    clock.advance(0.0)
    assert schedule.lag.count == 1
    assert schedule.lag.maximum == pytest.approx(0.25)


def test_close_drops_everything(schedule: Schedule, clock: VirtualClock) -> None:
    """After `close` no callback runs."""
    ran: list[int] = []
    schedule.every(1.0, lambda: ran.append(1))
    schedule.close()
    clock.advance(10.0)
    assert ran == []
    assert schedule.ticks == 0
