"""Periodic callbacks: one queue per period, and one timer, however many callbacks there are."""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from operator import attrgetter
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
_COMPACT_ABOVE = 64
"""A queue removes its cancelled ticks once they are more than this, and the majority."""

_slot = attrgetter("slot")


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
            first: seconds until the first run; by default one period. The first run waits for the next
                slot, and later ones follow it at exact periods.

        Returns:
            The tick, which can be cancelled.
        """
        queue = self._queues.get(period)
        if queue is None:
            queue = self._queues[period] = PeriodQueue(self, period)
        tick = queue.add(callback, self.clock.time() + (period if first is None else first))
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
        slot: number of the slot in which the next run is due.
        callback: what to run; None once the tick is cancelled.
    """

    __slots__ = ("_queue", "callback", "slot")

    def __init__(self, queue: PeriodQueue, slot: int, callback: Callable[[], object]) -> None:
        self._queue = queue
        self.slot = slot
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Never run again. A second call does nothing."""
        if self.callback is not None:
            self.callback = None
            self._queue.count_cancelled()


class PeriodQueue:
    """The ticks of one period, in the order in which they are due.

    A period has a whole number of slots. A tick is due one period after its previous due time, not after
    its run: it does not drift. A tick that is late by whole periods skips them: it does not run several
    times in a burst.

    Attributes:
        period: seconds between two runs of a tick.
        wake_at: when the schedule serves the queue, in seconds of the clock; infinite for never.
    """

    def __init__(self, schedule: Schedule, period: float) -> None:
        self._schedule = schedule
        self.period = period
        self.wake_at = math.inf
        self._slots = max(1, round(period / SLOT_S))
        self._slot_s = period / self._slots
        self._ticks: deque[Tick] = deque()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._ticks) - self._cancelled

    @property
    def queued(self) -> int:
        """Number of ticks in memory, including the cancelled ones that are not removed yet."""
        return len(self._ticks)

    @property
    def first_due(self) -> float:
        """When the first tick is due, in seconds of the clock."""
        return self._ticks[0].slot * self._slot_s

    def add(self, callback: Callable[[], object], due: float) -> Tick:
        """Add a callback.

        Arguments:
            callback: what to run every period.
            due: earliest time of the first run, in seconds of the clock.
        """
        tick = Tick(self, math.ceil(due / self._slot_s - ROUNDING), callback)
        self._insert(tick)
        return tick

    def count_cancelled(self) -> None:
        """Count one cancelled tick; remove the cancelled ticks once they are the majority."""
        self._cancelled += 1
        if self._cancelled == len(self._ticks):
            self.clear()
            self._schedule.remove(self)
        elif self._cancelled > _COMPACT_ABOVE and self._cancelled * 2 > len(self._ticks):
            kept = [tick for tick in self._ticks if tick.callback is not None]
            self._ticks.clear()  # the same deque: `run_due` may be using it
            self._ticks.extend(kept)
            self._cancelled = 0

    def clear(self) -> None:
        """Drop every tick."""
        self._ticks.clear()
        self._cancelled = 0

    def run_due(self, latest: float, most: int, lags: list[float]) -> int:
        """Run the ticks that are due.

        Arguments:
            latest: due time of the last tick that may run, in seconds of the clock.
            most: number of ticks that may run.
            lags: gets the lag of each tick that runs, in seconds.

        Returns:
            The number of ticks that ran.
        """
        ticks, slots, slot_s, time = self._ticks, self._slots, self._slot_s, self._schedule.clock.time
        for ran in range(most):
            if not ticks or ticks[0].slot * slot_s > latest:
                return ran
            tick = ticks.popleft()
            callback = tick.callback
            if callback is None:
                self._cancelled -= 1
                continue
            now = time()
            lags.append(now - tick.slot * slot_s)
            tick.slot += slots
            if tick.slot * slot_s <= now:
                self._skip_missed(tick, now)
            # The tick is queued again before its callback runs, because the callback may cancel it.
            if ticks and ticks[-1].slot > tick.slot:
                self._insert(tick)
            else:
                ticks.append(tick)
            callback()
        return most

    def _insert(self, tick: Tick) -> None:
        # Usually the tick belongs at the end. After a stall, a tick that was added during the stall
        # may be due later than a late one. The late tick goes before it, or it would stay late. That may
        # happen to half of all ticks, so the place is searched by bisection: from the end, 10,000 ticks
        # took 4.2 s after a stall of one and a half periods.
        ticks = self._ticks
        if not ticks or ticks[-1].slot <= tick.slot:
            ticks.append(tick)
        else:
            ticks.insert(bisect_right(ticks, tick.slot, key=_slot), tick)

    def _skip_missed(self, tick: Tick, now: float) -> None:
        missed = int((now - tick.slot * self._slot_s) // self.period) + 1
        tick.slot += missed * self._slots
        self._schedule.skipped += missed
