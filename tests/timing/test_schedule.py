"""Periodic callbacks: they run when due, without drift and without bursts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdemo.testing import VirtualClock, VirtualTimer
from rtdemo.timing.schedule import (
    EARLY_S,
    MAX_NEIGHBOURS,
    SLOT_S,
    SPREAD_S,
    TICKS_PER_TURN,
    Schedule,
    Tick,
)


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
        schedule.every(1.0, lambda: order.append("tick"), first=1.0)
    clock.call_at(1001.0, lambda: order.append("other"))
    clock.advance(1.0)
    assert order.count("tick") == TICKS_PER_TURN * 2
    assert order.index("other") == TICKS_PER_TURN


def test_ticks_of_one_period_share_one_timer() -> None:
    """A thousand ticks of one period need one timer of the loop."""
    clock = CountingClock()
    schedule = Schedule(clock)
    for _ in range(1000):
        schedule.every(3.0, lambda: None, first=3.0)
    assert clock.timers == 1
    assert schedule.ticks == 1000


@pytest.mark.parametrize("period", [0.01, 0.1234, 2.0])
def test_ticks_of_one_slot_run_together(schedule: Schedule, clock: VirtualClock, period: float) -> None:
    """Ticks that were added within one slot run at the same time, none early, at exact periods."""
    clock.advance(SLOT_S / 10)
    added, ran = [], []
    for _ in range(4):
        added.append(clock.time())
        schedule.every(period, lambda: ran.append(clock.time()), first=period)
        clock.advance(SLOT_S / 10)
    clock.advance(period + SLOT_S)
    first = ran[:4]
    assert len(set(first)) == 1
    assert added[-1] + period <= first[0] <= added[0] + period + 1.5 * SLOT_S
    clock.advance(1000 * period)
    assert ran[4000:4004] == pytest.approx([first[0] + 1000 * period] * 4, abs=1e-6)


@pytest.mark.parametrize("ticks", [2, 3, MAX_NEIGHBOURS, 2 * TICKS_PER_TURN])
def test_no_tick_of_a_slot_is_first_more_often(
    schedule: Schedule, clock: VirtualClock, ticks: int
) -> None:
    """Of any two ticks in a slot, each is the first in half of the periods, whatever is between them."""
    order: list[int] = []
    for number in range(ticks):
        schedule.every(0.1, partial(order.append, number), first=0.1)
    first = dict.fromkeys(combinations(range(ticks), 2), 0)
    for period in range(1, 21):
        clock.advance_to(1000.0 + 0.1 * period + SLOT_S / 2)
        places = {number: place for place, number in enumerate(order)}
        assert sorted(order) == list(range(ticks)), "each runs once a period"
        order.clear()
        for one, other in first:
            first[one, other] += places[one] < places[other]
    assert set(first.values()) == {10}


@pytest.mark.parametrize("later", [0.0, 0.001, 0.012, 0.03])
@pytest.mark.parametrize(("period", "apart"), [(0.01, 0.005), (0.05, 0.025), (0.1, 0.05), (2.0, 0.065)])
def test_ticks_that_are_added_soon_after_each_other_run_apart(
    schedule: Schedule, clock: VirtualClock, period: float, apart: float, later: float
) -> None:
    """A browser opens both transports within some milliseconds; their messages do not meet in it."""
    ran: list[tuple[float, str]] = []
    schedule.every(period, lambda: ran.append((clock.time(), "one")))
    clock.advance(later)
    schedule.every(period, lambda: ran.append((clock.time(), "other")))
    clock.advance(10 * period)
    pauses = [after - before for (before, _), (after, _) in pairwise(ran[-10:])]
    assert min(pauses) >= apart - 1e-6
    names = [name for _, name in ran[-10:]]
    assert set(names[::2]) != set(names[1::2]), "they take turns"


@pytest.mark.parametrize(("ticks", "apart"), [(4, 0.025), (6, 0.01), (20, 0.005), (100, 0.005)])
def test_ticks_that_are_added_at_once_are_spread(
    schedule: Schedule, clock: VirtualClock, ticks: int, apart: float
) -> None:
    """A few are far from each other; of many, most stay together and share wake-ups."""
    ran: list[float] = []
    for _ in range(ticks):
        schedule.every(0.1, lambda: ran.append(clock.time()))
    clock.advance(1.0)
    times = sorted(set(ran))
    nearest = min(after - before for before, after in pairwise(times))
    assert nearest >= apart - 1e-6
    assert len(ran) == pytest.approx(10 * ticks, abs=ticks)
    assert len(times) <= 10 * (MAX_NEIGHBOURS + 1)


def test_two_connections_have_the_same_share_of_each_slot(
    schedule: Schedule, clock: VirtualClock
) -> None:
    """Of two connections with four producers each, none has a slot for itself or more of one."""
    ran: list[tuple[float, str]] = []
    for name in ("one", "other"):
        for _ in range(4):
            schedule.every(0.01, partial(lambda name: ran.append((clock.time(), name)), name))
        clock.advance(0.012)
    clock.advance(0.1)
    last = ran[-16:]
    for at in {at for at, _ in last}:
        assert sorted(name for each, name in last if each == at) == ["one"] * 2 + ["other"] * 2


def test_first_tick_is_early_by_a_bounded_time(schedule: Schedule, clock: VirtualClock) -> None:
    """It is up to `SPREAD_S` early; alone, or with a time of its own, it is not."""
    early: dict[str, float] = {}

    def add(name: str, **first: float) -> None:
        due = clock.now + 2.0
        schedule.every(2.0, lambda: early.setdefault(name, due - clock.now), **first)

    clock.advance(SLOT_S / 2)
    add("alone")
    add("moves")
    add("has a time of its own", first=2.0)
    clock.advance(5 * SPREAD_S)
    add("alone again")
    clock.advance(3.0)
    assert early.pop("moves") == pytest.approx(SPREAD_S - SLOT_S / 2, abs=1e-6)
    assert list(early.values()) == pytest.approx([-SLOT_S / 2] * 3, abs=1e-6)


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


class Repeated:
    """A callback of a schedule, with the times at which it ran."""

    def __init__(self, clock: VirtualClock, schedule: Schedule, period: float) -> None:
        self.added = clock.now
        self.period = period
        self.ran: list[float] = []
        self.tick: Tick = schedule.every(period, lambda: self.ran.append(clock.now))


PERIODS = st.sampled_from([0.01, 0.0334, 0.1, 0.3])


@given(st.lists(st.tuples(PERIODS, st.floats(0, 0.1), st.booleans()), min_size=1, max_size=20))
def test_no_tick_is_lost_or_late(steps: list[tuple[float, float, bool]]) -> None:
    """Whatever is added and cancelled, each tick runs at exact periods from its first run on."""
    clock = VirtualClock(1000.0)
    schedule = Schedule(clock)
    running: list[Repeated] = []
    for period, pause, has_end in steps:
        running.append(Repeated(clock, schedule, period))
        clock.advance(pause)
        if has_end:
            ended = running.pop(len(running) // 2)
            ended.tick.cancel()
            runs = len(ended.ran)
            clock.advance(pause)
            assert len(ended.ran) == runs
    clock.advance(0.7)
    assert schedule.ticks == len(running)
    assert schedule.skipped == 0
    for each in running:
        first = each.ran[0]
        # Ticks of another period may share a wake-up, which may be early.
        assert each.period - SPREAD_S - EARLY_S <= first - each.added <= each.period + 1.5 * SLOT_S
        off = [at - first - number * each.period for number, at in enumerate(each.ran)]
        assert max(map(abs, off)) <= 1.01 * EARLY_S
        assert clock.now - each.ran[-1] <= each.period + EARLY_S
