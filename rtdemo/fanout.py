"""Bring every connection up to the end of the log: who is live, and who comes back and missed some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from rtdemo.connection import Connection
from rtdemo.engine.log import Entry, Log
from rtdemo.news import News
from rtdemo.position import Position

SLICE = 64
"""Connections that are served before the loop gets its turn."""
BATCH = 64
"""Entries that are read from the log at once."""
TOGETHER = 64 * 1024
"""Bytes of JSON that go in one write, a quarter of what an outbox may hold; a single one may be more."""
PACE = 0.02
"""Seconds between two looks whether a client that is catching up took what it was sent."""

GONE = "What you missed is gone from the log; messages are lost. Live from here."
RESTARTED = "The log was lost; messages may be. Live from here."


@dataclass(frozen=True, slots=True)
class Resume:
    """Say where a client wants to go on.

    Arguments:
        position: its last one; None where what it gave is none.
        ahead: whether that exists although this server's copy of the log does not reach it yet.
    """

    position: Position | None
    ahead: bool = False


class Fanout:
    """Send the log's entries to the connections, each in order and none twice.

    A connection knows the offset that it has reached. A sweep takes all that stand where the log's
    news begin to its end; who comes back far behind is led there at the pace at which it reads.

    Arguments:
        log: what is sent.
        connections: gives those that are open.
        always: tells whether a producer's messages go also to who did not pick it.
    """

    def __init__(
        self,
        log: Log,
        connections: Callable[[], Iterable[Connection]],
        always: Callable[[str], bool],
    ) -> None:
        self._log = log
        self._connections = connections
        self._always = always
        self._swept = log.last.offset
        self._news: News | None = None
        self._rest: Iterator[Connection] | None = None

    def deliver(self, _entry: Entry) -> None:
        """Send what is new in the log; the first slice of connections gets it at once."""
        if self._rest is None:
            self._begin()

    def restarted(self) -> None:
        """Tell every client that the log goes on elsewhere."""
        self._swept = self._log.last.offset
        self._rest = None
        for connection in list(self._connections()):
            connection.lose(self._log.last, RESTARTED)

    def place(self, connection: Connection, resume: Resume | None) -> bool:
        """Put a new connection where it goes on; return whether messages are lost to it."""
        log, position = self._log, resume.position if resume else None
        if resume is None or position is None:
            connection.stand(log.last)
            return resume is not None
        known = log.holds(position) or (resume.ahead and position.epoch == log.last.epoch)
        connection.stand(position if known else log.last)
        return not known

    def catch_up(self, connection: Connection) -> None:
        """Send a connection what it missed: what it takes now, and the rest as it reads."""
        log = self._log
        connection.replaying = True
        while connection.reason is None and connection.offset < log.last.offset:
            if not log.holds(connection.position):
                connection.lose(log.last, GONE)
                break
            if connection.is_full:
                asyncio.get_running_loop().call_later(PACE, self.catch_up, connection)
                return
            connection.forward(self._next(connection.offset))
        connection.replaying = False

    def _begin(self) -> None:
        log = self._log
        if log.last.offset == self._swept:
            return
        known = log.holds(Position(log.last.epoch, self._swept))
        self._news = self._next(self._swept) if known else None
        self._rest = iter(list(self._connections()))
        self._sweep()

    def _sweep(self) -> None:
        if self._rest is None:
            return
        start, news, last = self._swept, self._news, self._log.last.offset
        slice_ = list(islice(self._rest, SLICE))
        for connection in slice_:
            if connection.replaying:
                continue
            if connection.offset == start and news is not None:
                connection.forward(news)
            elif connection.offset < last:
                self.catch_up(connection)
        if len(slice_) == SLICE:
            asyncio.get_running_loop().call_soon(self._sweep)
            return
        self._rest = None
        self._swept = self._news.last if self._news else self._log.last.offset
        self._begin()

    def _next(self, offset: int) -> News:
        """Return the entries behind an offset that go in one write: one at least, and not many."""
        found: list[tuple[Entry, bool]] = []
        size = 0
        for entry in self._log.after(offset, BATCH):
            size += len(entry.payload)
            if found and size > TOGETHER:
                break
            found.append((entry, self._always(entry.producer)))
        return News(found)
