"""Log connects and disconnects: one line each up to a rate, and above it one line with counts."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator

from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.timing.schedule import Clock, Timer

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""Seconds over which lines are counted."""
LINES_PER_INTERVAL = 20
"""Connects and disconnects that are logged one by one in an interval. Further ones are only counted."""


class ConnectionLog:
    """Log each connect and disconnect, but in a storm only their numbers, once a second.

    The first 20 of a second get a line each. Further ones are counted, and one line reports them at
    the end of the second. Each connect and each disconnect is in exactly one line. There is a timer
    only while some are counted.

    Arguments:
        clock: times the intervals.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._interval_end = -math.inf
        self._lines = 0
        self._timer: Timer | None = None
        # What gets no line of its own: by transport, and disconnects also by the text of their reason.
        self._connected: Counter[str] = Counter()
        self._disconnected: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def connected(self, client: Client) -> None:
        """Log or count that a client has connected."""
        if not log.isEnabledFor(logging.INFO):
            return
        if self._may_write_line():
            log.info("%s connected from %s", client, client.remote, extra=_fields(client))
        else:
            self._connected[client.transport] += 1

    def disconnected(self, client: Client, reason: Reason, seconds: float, messages: int) -> None:
        """Log or count that a client has disconnected.

        Arguments:
            client: the peer.
            reason: why the connection ended.
            seconds: how long it was open.
            messages: number of messages that were written to it.
        """
        if not log.isEnabledFor(logging.INFO):
            return
        if not self._may_write_line():
            self._disconnected[client.transport] += 1
            self._reasons[reason.text] += 1
            return
        end = {"reason": reason.text, "code": reason.code, "seconds": seconds, "messages": messages}
        log.info(
            "%s disconnected: %s after %.1f s and %d messages",
            *(client, reason, seconds, messages),
            extra=_fields(client) | end,
        )

    def flush(self) -> None:
        """Report now what was counted, and begin a new interval."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        seconds = self._clock.time() - (self._interval_end - INTERVAL_S)
        self._interval_end = -math.inf
        log.info(
            "more clients in the last %.1f s: %s",
            *(seconds, ", ".join(self._parts())),
            extra={
                "seconds": seconds,
                "connected": dict(self._connected),
                "disconnected": dict(self._disconnected),
                "reasons": dict(self._reasons),
            },
        )
        for counter in (self._connected, self._disconnected, self._reasons):
            counter.clear()

    def _parts(self) -> Iterator[str]:
        for counter, what in ((self._connected, "connected"), (self._reasons, "disconnected")):
            if counter:
                listed = ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
                yield f"{counter.total():,} {what} ({listed})"

    def _may_write_line(self) -> bool:
        """Return whether the present event gets its own line; if not, make sure it is reported."""
        now = self._clock.time()
        if now >= self._interval_end:
            # A timer that is late has not reported the last interval yet.
            self.flush()
            self._interval_end, self._lines = now + INTERVAL_S, 0
        self._lines += 1
        if self._lines <= LINES_PER_INTERVAL:
            return True
        if self._timer is None:
            self._timer = self._clock.call_at(self._interval_end, self.flush)
        return False


def _fields(client: Client) -> dict[str, object]:
    return {"client": client.tag, "transport": client.transport, "remote": client.remote}
