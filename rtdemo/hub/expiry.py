"""End connections whose login expires, with one tick for all of them."""

from __future__ import annotations

import math
from itertools import islice

from rtdemo.hub.connection import Connection
from rtdemo.protocol.close_reasons import Reason
from rtdemo.timing.schedule import Schedule, Tick

CHECK_S = 1.0
"""Seconds between two checks, and so the longest delay after an expiry."""
ENDS_PER_TURN = 64
"""Connections that end before other tasks of the event loop run."""


class Expiry:
    """Keep the times at which connections expire, and end them then.

    While nothing is due, a check compares two numbers. Without connections that expire there is no tick.

    Arguments:
        schedule: runs the checks.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._ends_at: dict[Connection, float] = {}
        # When the first connection ends; too early if that one has left since.
        self._next = math.inf
        self._tick: Tick | None = None

    def add(self, connection: Connection, seconds: float) -> None:
        """End a connection later, unless it is removed before.

        Arguments:
            connection: open now.
            seconds: from now; it ends at the next check after that.
        """
        at = self._schedule.clock.time() + seconds
        self._ends_at[connection] = at
        self._next = min(self._next, at)
        if self._tick is None:
            self._tick = self._schedule.every(CHECK_S, self._check)

    def remove(self, connection: Connection) -> None:
        """Forget a connection; do nothing if it does not expire."""
        if self._ends_at.pop(connection, None) is not None and not self._ends_at:
            self._stop()

    def _check(self) -> None:
        now = self._schedule.clock.time()
        if now < self._next:
            return
        due = [connection for connection, at in self._ends_at.items() if at <= now]
        for connection in due:
            del self._ends_at[connection]
        self._next = min(self._ends_at.values(), default=math.inf)
        if not self._ends_at:
            self._stop()
        self._end(due)

    def _end(self, due: list[Connection]) -> None:
        for connection in islice(due, ENDS_PER_TURN):
            connection.end(Reason.TOKEN_EXPIRED)
        if rest := due[ENDS_PER_TURN:]:
            self._schedule.clock.call_soon(lambda: self._end(rest))

    def _stop(self) -> None:
        self._next = math.inf
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
