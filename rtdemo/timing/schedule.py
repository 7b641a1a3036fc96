"""Periodic callbacks: one queue per period, and one timer, however many callbacks there are."""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import chain, count, islice, takewhile
from operator import itemgetter
from typing import Protocol

from rtdemo.timing.histogram import Histogram

TICKS_PER_TURN = 32
"""Ticks that run before the event loop gets its turn.

Measured: 8 instead of 256 reduced the 99th percentile of the lag from 3.7 to 1.2 ms at equal CPU; 32
instead of 16 reduced the cost of a message by 4 %.
"""
SLOT_S = 0.005
"""Seconds between two times at which ticks may run, about.

Ticks that are due in the same slot share a wake-up: one of an idle process costs about 75 us of CPU
time, as much as five messages. With 2,000 connections at ten times the rate, slots reduced the cost of
a message by a tenth over WebSocket and by a fifth over SSE.
"""
EARLY_S = 0.001
"""Seconds by which a timer of the event loop may be early: uvloop's timers count milliseconds."""
ROUNDING = 1e-6
"""Part of a slot by which a due time may be after it, because floats are rounded."""
SPREAD_S = 0.1
"""Seconds by which a first tick may be early, so that it is not near others of its period.

Measured in Chromium with one transport on both sides of the page. A message that arrives together with
another one waits for it by 0.4 to 0.7 ms, even if the page does nothing with it. One that arrives 10 to
20 ms after another is 0.1 ms faster than that, because the browser is awake. Both are errors of the
comparison.
"""
MAX_NEIGHBOURS = 8
"""Slots with ticks nearby, above which a first tick is not moved."""
MAX_SPREAD_TICKS = 128
"""Ticks of a period above which a first tick is not moved, wherever they are: to find its place takes
longer than all else that a new tick costs."""
_COMPACT_ABOVE = 64
"""A queue removes its cancelled ticks once they are more than this, and the majority."""

_number = itemgetter(0)


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """Never call back."""


class Clock(Protocol):
    """A monotonic clock with timers: a `LoopClock`, or a test's clock that does not wait."""

    @property
    def time(self) -> Callable[[], float]:
        """Return the current time: monotonic, in seconds."""
        ...

    @property
    def call_soon(self) -> Callable[[Callable[[], object]], Timer]:
        """Call back in the loop's next turn."""
        ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Call back at a time of this clock."""
        ...


class LoopClock:
    """Clock of an event loop, with microseconds on any loop.

    The `time` of uvloop changes only once per turn of the loop. The lag would not show a callback
    that blocks the turn. So this clock reads `time.monotonic`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.call_soon = loop.call_soon
        self.time = time.monotonic

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call back at a time of this clock."""
        return self._loop.call_later(max(0.0, when - self.time()), callback)


class Schedule:
    """Periodic callbacks, at a cost of O(1) per tick, with one timer for all of them.

    One timer: each wake-up of an idle process costs as much CPU time as several messages. So a wake-up
    serves the ticks of all periods that are due.

    Arguments:
        clock: the time and the timers.

    Attributes:
        lag: histogram of the seconds between the due time of a tick and its run.
        skipped: ticks that did not run because the loop was late by whole periods.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lag = Histogram()
        self.skipped = 0
        self._queues: dict[float, PeriodQueue] = {}
        # When each queue is to be served. An entry is void if its queue has another `wake_at` by now.
        self._wake_ups: list[tuple[float, int, PeriodQueue]] = []
        self._numbers = count()
        self._timer: Timer | None = None
        self._timer_at = math.inf
        self._is_running = False

    def every(self, period: float, callback: Callable[[], object], first: float | None = None) -> Tick:
        """Run a callback periodically.

        Arguments:
            period: seconds between two runs.
            callback: what to run. It must not block.
            first: seconds until the first run; by default one period, or up to `SPREAD_S` less to be
                apart from others. The first run waits for the next slot, and later ones follow it at
                exact periods.

        Returns:
            The tick, which can be cancelled.
        """
        queue = self._queues.get(period)
        if queue is None:
            queue = self._queues[period] = PeriodQueue(self, period)
        due = self.clock.time() + (period if first is None else first)
        tick = queue.add(callback, due, may_be_early=first is None)
        if queue.first_due < queue.wake_at:
            self._wake(queue)
            self._set_timer()
        return tick

    @property
    def ticks(self) -> int:
        """Number of callbacks that run periodically."""
        return sum(map(len, self._queues.values()))

    @property
    def queued(self) -> int:
        """Number of ticks in memory, including the cancelled ones that are not removed yet."""
        return sum(queue.queued for queue in self._queues.values())

    @property
    def periods(self) -> list[float]:
        """The periods in use, in seconds."""
        return list(self._queues)

    def remove(self, queue: PeriodQueue) -> None:
        """Remove a queue without ticks."""
        if self._queues.get(queue.period) is queue:
            del self._queues[queue.period]
            queue.wake_at = math.inf
            if len(self._wake_ups) > _COMPACT_ABOVE + 2 * len(self._queues):
                self._wake_ups = [entry for entry in self._wake_ups if entry[0] == entry[2].wake_at]
                heapify(self._wake_ups)
            if not self._queues:
                self.close()

    def close(self) -> None:
        """Drop every tick and timer."""
        for queue in list(self._queues.values()):
            queue.clear()
        self._queues.clear()
        self._wake_ups.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, math.inf

    def _wake(self, queue: PeriodQueue) -> None:
        """Serve a queue when its first tick is due."""
        queue.wake_at = queue.first_due
        heappush(self._wake_ups, (queue.wake_at, next(self._numbers), queue))

    def _set_timer(self) -> None:
        """Set the timer for the first queue that is to be served."""
        if self._is_running or not self._wake_ups or self._wake_ups[0][0] >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._wake_ups[0][0]
        self._timer = self.clock.call_at(self._timer_at, self._run_due)

    def _run_due(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._is_running = True
        latest = self.clock.time() + EARLY_S
        room = TICKS_PER_TURN
        lags: list[float] = []
        wake_ups = self._wake_ups
        try:
            while room > 0 and wake_ups and wake_ups[0][0] <= latest:
                wake_at, _, queue = heappop(wake_ups)
                if wake_at == queue.wake_at:
                    queue.wake_at = math.inf
                    try:
                        room -= queue.run_due(latest, room, lags)
                    finally:
                        self._serve_later(queue)
        finally:
            self._is_running = False
            if lags:
                self.lag.record_all(lags)
            if self._wake_ups and self._wake_ups[0][0] <= latest:
                self._timer_at = -math.inf
                self._timer = self.clock.call_soon(self._run_due)
            else:
                self._set_timer()

    def _serve_later(self, queue: PeriodQueue) -> None:
        if not queue.queued:
            self.remove(queue)
        elif queue.first_due < queue.wake_at:
            self._wake(queue)


class Tick:
    """A callback that runs once per period until it is cancelled.

    Attributes:
        callback: what to run; None once the tick is cancelled.
    """

    __slots__ = ("_queue", "callback")

    def __init__(self, queue: PeriodQueue, callback: Callable[[], object]) -> None:
        self._queue = queue
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Never run again. A second call does nothing."""
        if self.callback is not None:
            self.callback = None
            self._queue.count_cancelled()


class PeriodQueue:
    """The ticks of one period, by the slots in which they are due.

    A period has a whole number of slots. A tick is due one period after its previous due time, not after
    its run: it does not drift. A tick that is late by whole periods skips them: it does not run several
    times in a burst.

    The ticks of a slot are a stack, from which they move to the stack of their next slot. So each period
    reverses their order: of any two ticks that share a slot, each one is the first every other time.

    Attributes:
        period: seconds between two runs of a tick.
        wake_at: when the schedule serves the queue, in seconds of the clock; infinite for never.
        queued: number of ticks in memory, including the cancelled ones that are not removed yet.
    """

    def __init__(self, schedule: Schedule, period: float) -> None:
        self._schedule = schedule
        self.period = period
        self.wake_at = math.inf
        self.queued = 0
        self._period_slots = max(1, round(period / SLOT_S))
        self._slot_s = period / self._period_slots
        # Less than a period: the slot a period earlier is the present one.
        self._early_slots = min(self._period_slots - 1, int(SPREAD_S / self._slot_s))
        # The number of each slot that has ticks, in order, and its ticks.
        self._slots: deque[tuple[int, list[Tick]]] = deque()
        self._cancelled = 0

    def __len__(self) -> int:
        return self.queued - self._cancelled

    @property
    def first_due(self) -> float:
        """When the first tick is due, in seconds of the clock."""
        return self._slots[0][0] * self._slot_s

    def add(self, callback: Callable[[], object], due: float, may_be_early: bool) -> Tick:
        """Add a callback.

        Arguments:
            callback: what to run every period.
            due: earliest time of the first run, in seconds of the clock.
            may_be_early: whether it may run up to `SPREAD_S` earlier, apart from others.
        """
        tick = Tick(self, callback)
        number = math.ceil(due / self._slot_s - ROUNDING)
        if may_be_early and self.queued <= MAX_SPREAD_TICKS:
            number = self._apart(number)
        slots = self._slots
        if slots and slots[-1][0] == number:  # as many connections open at the same time
            slots[-1][1].append(tick)
        else:
            self._place(tick, number)
        self.queued += 1
        return tick

    def count_cancelled(self) -> None:
        """Count one cancelled tick; remove the cancelled ticks once they are the majority."""
        self._cancelled += 1
        if self._cancelled == self.queued:
            self.clear()
            self._schedule.remove(self)
        elif self._cancelled > _COMPACT_ABOVE and self._cancelled * 2 > self.queued:
            for _, ticks in self._slots:
                ticks[:] = [tick for tick in ticks if tick.callback is not None]
            # The same lists and the same deque: `run_due` may be using them.
            kept = [slot for slot in self._slots if slot[1]]
            self._slots.clear()
            self._slots.extend(kept)
            self.queued -= self._cancelled
            self._cancelled = 0

    def clear(self) -> None:
        """Drop every tick."""
        for _, ticks in self._slots:
            ticks.clear()
        self._slots.clear()
        self.queued = self._cancelled = 0

    def run_due(self, latest: float, most: int, lags: list[float]) -> int:
        """Run the ticks that are due.

        Arguments:
            latest: due time of the last tick that may run, in seconds of the clock.
            most: number of ticks that may run.
            lags: gets the lag of each tick that runs, in seconds.

        Returns:
            The number of ticks that ran.
        """
        slots, period_slots, slot_s = self._slots, self._period_slots, self._slot_s
        time = self._schedule.clock.time
        ran = 0
        while slots and ran < most:
            slot = slots[0]
            number, ticks = slot
            due = number * slot_s
            if due > latest:
                break
            while ticks and ran < most:
                ran += 1
                tick = ticks.pop()
                callback = tick.callback
                if callback is None:
                    self._cancelled -= 1
                    self.queued -= 1
                    continue
                now = time()
                lags.append(now - due)
                next_number = number + period_slots
                if next_number * slot_s <= now:
                    next_number = self._skip_missed(next_number, now)
                # The tick is queued again before its callback runs, because the callback may cancel it.
                if slots[-1][0] == next_number:
                    slots[-1][1].append(tick)
                else:
                    self._place(tick, next_number)
                callback()
            # A callback may have removed the slot, with all others.
            if not ticks and slots and slots[0] is slot:
                slots.popleft()
        return ran

    def _apart(self, number: int) -> int:
        """Return the number of the slot, this one or an earlier one, that is farthest from others."""
        early, period, slots = self._early_slots, self._period_slots, self._slots
        if len(slots) > MAX_NEIGHBOURS and slots[-1 - MAX_NEIGHBOURS][0] >= number - early:
            return number  # the usual case with many connections
        before = takewhile(lambda slot: slot[0] >= number - 2 * early, reversed(slots))
        after = takewhile(lambda slot: slot[0] <= number + early - period, slots)
        # In a short period, both may find the same ones.
        found = dict(islice(chain(before, after), 2 * MAX_NEIGHBOURS + 1))
        near: dict[int, int] = {}
        for each, ticks in found.items():
            near[each % period] = near.get(each % period, 0) + len(ticks)
        if not near or len(near) > MAX_NEIGHBOURS:
            return number

        def room(slot: int) -> tuple[int, int]:
            distance = early
            for each in near:
                apart = (slot - each) % period
                distance = min(distance, apart, period - apart)
            return distance, -near.get(slot % period, 0)

        return max(range(number, number - early - 1, -1), key=room)

    def _place(self, tick: Tick, number: int) -> None:
        # Usually the slot belongs at the end. A first tick may be early. And after a stall, a tick that
        # was added during the stall may be due later than a late one.
        slots = self._slots
        last = slots[-1][0] if slots else -1
        if last < number:
            slots.append((number, [tick]))
            return
        place = bisect_left(slots, number, key=_number)
        if slots[place][0] == number:
            slots[place][1].append(tick)
        else:
            slots.insert(place, (number, [tick]))

    def _skip_missed(self, number: int, now: float) -> int:
        missed = int((now - number * self._slot_s) // self.period) + 1
        self._schedule.skipped += missed
        return number + missed * self._period_slots
