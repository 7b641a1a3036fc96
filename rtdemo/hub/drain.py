"""End all connections of a server that stops, spread evenly over some seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rtdemo.hub.connection import Connection
from rtdemo.protocol.close_reasons import Reason
from rtdemo.timing.schedule import Schedule, Tick

STEP_S = 0.05
"""Seconds between two steps. Each ends the connections that are due since the last one."""


class Drain:
    """End connections as going away, in the order in which they joined, at an even rate.

    If all ended at once, all clients would reconnect at once, and the servers that remain would have
    to accept them in one burst.

    Arguments:
        schedule: runs the steps.
        connections: returns the connections that are open now.
        seconds: time from the first end to the last one; 0 ends all at once.
    """

    def __init__(
        self, schedule: Schedule, connections: Callable[[], list[Connection]], seconds: float
    ) -> None:
        self._connections = connections
        self._seconds = seconds
        self._clock = schedule.clock
        self._began = self._clock.time()
        self._waiting = deque(connections())
        self._count = len(self._waiting)
        self._schedule = schedule
        self._tick: Tick | None = None

    def start(self) -> None:
        """End the first connection, and the others over time."""
        self._step()
        self._tick = self._schedule.every(STEP_S, self._step)

    @property
    def seconds_left(self) -> float:
        """Seconds until the last connection ends."""
        if not self._waiting:
            return 0.0
        return max(0.0, self._began + self._seconds - self._clock.time())

    def _step(self) -> None:
        elapsed = self._clock.time() - self._began
        if elapsed >= self._seconds:
            self.end_all()
            return
        # One more than the elapsed share: a single connection does not wait.
        due = int(self._count * elapsed / self._seconds) + 1
        while self._waiting and self._count - len(self._waiting) < due:
            self._waiting.popleft().end(Reason.GOING_AWAY)

    def end_all(self) -> None:
        """End all connections now, and those that have joined meanwhile."""
        self._waiting.clear()
        self._count = 0
        for connection in self._connections():
            connection.end(Reason.GOING_AWAY)

    def close(self) -> None:
        """Run no further step."""
        if self._tick is not None:
            self._tick.cancel()
