"""Bring every connection up to the end of the log: who is live, and who comes back and missed some."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from rtdemo.engine.log import Entry, Log
from rtdemo.hub.batch import Batch
from rtdemo.hub.connection import Connection
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Position, parse_position

log = logging.getLogger(__name__)

SLICE = 64
"""Connections that are served before the loop gets its turn."""
BATCH = 64
"""Entries that are read from the log at once."""
TOGETHER = 64 * 1024
"""Bytes of JSON that go in one write, a quarter of what an outbox may hold; a single one may be more."""
PACE = 0.02
"""Seconds between two looks whether a client that is catching up took what it was sent."""
KEPT = 16
"""Batches whose bytes are kept: after a server's end many come back for the same."""

GONE = "What you missed is gone from the log; messages are lost. Live from here."
RESTARTED = "The log was lost; messages may be. Live from here."


class Fanout:
    """Send the log's entries to the connections, each in order and none twice.

    A connection knows the offset that it has reached. A sweep takes all that stand where the log's
    news begin to its end; who comes back far behind is led there at the pace at which it reads.

    Arguments:
        log: what is sent: this server's copy.
        lags: whether other servers may have sent what this copy does not hold yet.
        connections: gives those that are open.
        always: tells whether a producer's messages go also to who did not pick it.
    """

    def __init__(
        self,
        log: Log,
        lags: bool,
        connections: Callable[[], Iterable[Connection]],
        always: Callable[[str], bool],
    ) -> None:
        self._log = log
        self._lags = lags
        self._connections = connections
        self._always = always
        self._made: OrderedDict[int, tuple[int, Batch]] = OrderedDict()
        # The sweep under way: who is left, what they get, and where they stand then.
        self._rest: Iterator[Connection] | None = None
        self._batch: Batch | None = None
        self._end = 0
        self._swept = log.last.offset
        # Who claims a position that only other servers can know, and whether that was asked for since.
        self._unsure: dict[Connection, bool] = {}

    def start(self) -> None:
        """Begin behind what the log holds already."""
        self._swept = self._log.last.offset

    def place(self, connection: Connection, claimed: str | None) -> None:
        """Let a new connection stand where it goes on; nowhere, where what it missed is gone.

        Arguments:
            claimed: the position that its client has reached; None where it is new.
        """
        position = parse_position(claimed) if claimed is not None else self._log.last
        if position is not None and (self._log.holds(position) or self._may_exist(position)):
            connection.stand(position)

    def begin(self, connection: Connection) -> None:
        """Send a connection that was placed what it missed, or the word that it is gone.

        That comes after the welcome, which then names no position: who is cut before it comes back
        with the old one, and is told again.
        """
        position = connection.position
        if self._log.holds(position):
            self.catch_up(connection)
        elif self._may_exist(position):
            connection.replaying = True
            self._unsure[connection] = False
        else:
            connection.lose(self._log.last, GONE)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._unsure.pop(connection, None)

    def deliver(self, _entry: Entry) -> None:
        """Send what is new in the log; the first slice of connections gets it at once."""
        if self._unsure:
            self._settle(None)
        if self._rest is None and self._next_round():
            self._sweep()

    def checked(self, end: Position) -> None:
        """Tell those who claim what does not exist; called again and again with the log's true end."""
        if self._unsure:
            self._settle(end)

    def restarted(self) -> None:
        """Tell every client that the log goes on elsewhere, unless it stands there already."""
        self.start()
        self._rest = None
        self._made.clear()
        last = self._log.last
        for connection in list(self._connections()):
            position = connection.position
            same = position is not None and position.epoch == last.epoch
            if position is None or not same or position.offset < last.offset:
                self._unsure.pop(connection, None)
                connection.replaying = False
                connection.lose(last, GONE if same else RESTARTED)

    def catch_up(self, connection: Connection) -> None:
        """Send a connection what it missed: a piece now, and the rest piece by piece, as it reads."""
        connection.replaying = True
        if connection.reason is not None:
            return
        loop, last = asyncio.get_running_loop(), self._log.last
        if connection.offset < last.offset and not self._log.holds(connection.position):
            connection.lose(last, GONE)
        elif connection.is_full:
            loop.call_later(PACE, self.catch_up, connection)
            return
        elif connection.offset < last.offset:
            connection.forward(self._behind(connection.offset))
        if connection.offset < last.offset:
            loop.call_soon(self.catch_up, connection)
        else:
            connection.replaying = False

    def _may_exist(self, position: Position | None) -> bool:
        """Tell whether other servers may know a position that is none of this copy's."""
        if position is None or not self._lags:
            return False
        last = self._log.last
        return position.epoch != last.epoch or position.offset > last.offset

    def _settle(self, end: Position | None) -> None:
        """Send on whose position the log has reached; with the log's end, tell whose does not exist.

        The end may have been read before a connection came: only the next one counts for it.
        """
        for connection, asked in list(self._unsure.items()):
            position = connection.position
            if self._log.holds(position):
                del self._unsure[connection]
                self.catch_up(connection)
            elif not self._may_exist(position) or (asked and not _exists(position, end)):
                del self._unsure[connection]
                connection.replaying = False
                connection.lose(self._log.last, GONE)
            elif end is not None:
                self._unsure[connection] = True

    def _next_round(self) -> bool:
        """Prepare a sweep with what is new; return whether there is anything."""
        last = self._log.last
        if last.offset == self._swept:
            self._rest = None
            return False
        known = self._log.holds(Position(last.epoch, self._swept))
        self._batch = self._behind(self._swept) if known else None
        self._end = self._batch.last if self._batch is not None else last.offset
        self._rest = iter(list(self._connections()))
        return True

    def _sweep(self) -> None:
        """Serve a slice of connections, and call for the next."""
        for _ in range(SLICE):
            connection = next(self._rest, None) if self._rest is not None else None
            if connection is not None:
                self._bring(connection)
                continue
            if self._rest is None:
                return
            self._swept = self._end
            if not self._next_round():
                return
        asyncio.get_running_loop().call_soon(self._sweep)

    def _bring(self, connection: Connection) -> None:
        try:
            if connection.replaying:
                return
            if connection.offset == self._swept and self._batch is not None:
                connection.forward(self._batch)
            elif connection.offset < self._end:
                self.catch_up(connection)
        except Exception:
            # One that cannot be served is not to keep the news from all others.
            log.exception("%s: sending failed", connection.client)
            connection.end(Reason.SERVER_ERROR)

    def _behind(self, offset: int) -> Batch:
        """Return the entries behind an offset that go in one write: one at least, and not many.

        They end where every such batch ends, so that clients who come back from different places
        soon get the same bytes, made once.
        """
        wanted = min((offset // BATCH + 1) * BATCH, self._log.last.offset)
        kept = self._made.get(offset)
        if kept is not None and kept[0] == wanted:
            return kept[1]
        found: list[tuple[Entry, bool]] = []
        size = 0
        for entry in self._log.after(offset, wanted - offset):
            size += len(entry.payload)
            if found and size > TOGETHER:
                break
            found.append((entry, self._always(entry.producer)))
        batch = Batch(found)
        self._made[offset] = wanted, batch
        if len(self._made) > KEPT:
            self._made.popitem(last=False)
        return batch


def _exists(position: Position | None, end: Position | None) -> bool:
    """Tell whether a position is up to the end of its log, as far as the end is known."""
    if position is None or end is None:
        return end is None
    return position.epoch == end.epoch and position.offset <= end.offset
