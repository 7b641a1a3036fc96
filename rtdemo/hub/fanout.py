"""Send the log's entries to every connection: new entries, and missed entries after a reconnect."""

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

CONNECTIONS_PER_TURN = 64
"""Connections that a sweep serves before other tasks of the event loop run."""
BATCH_ENTRIES = 64
"""Entries in one batch, and so in one write."""
BATCH_BYTES = 64 * 1024
"""Bytes of JSON in one batch, a quarter of the outbox's limit; a batch of one entry may be larger."""
CACHED_BATCHES = 16
"""Batches in the cache: when a server stops, many clients resume elsewhere with the same entries."""
FULL_OUTBOX_RETRY_S = 0.02
"""Seconds until a resuming connection with a full outbox is checked again."""

GONE_TEXT = "The messages you missed are no longer in the log and are lost. Live messages follow."
RESTARTED_TEXT = "The log was lost, and messages may be lost with it. Live messages follow."

log = logging.getLogger(__name__)


class Fanout:
    """Send the log's entries to the connections, each in order and none twice.

    Each connection keeps the offset that it has reached. A sweep sends the log's new entries to all
    connections that have received the earlier ones. A connection that resumes at an older offset gets
    one batch after another, as fast as its client reads.

    Arguments:
        log: this server's copy of the log.
        lags: whether other servers may have sent entries that this copy does not hold yet.
        connections: returns the open connections.
        always: returns whether a producer's messages are also sent to clients that did not pick it.
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
        # Key: the offset before the batch. Value: the highest offset that it may have, and the batch.
        self._batches: OrderedDict[int, tuple[int, Batch]] = OrderedDict()
        # The current sweep: connections not served yet, the batch for them, and their offset after it.
        self._unserved: Iterator[Connection] | None = None
        self._batch: Batch | None = None
        self._sweep_end = 0
        # The offset that every live connection has reached.
        self._swept = log.last.offset
        # Connections with a position that only another server can have sent. Value: whether the engine
        # has read the end of the log at least once since the connection began.
        self._unverified: dict[Connection, bool] = {}

    @property
    def unverified(self) -> int:
        """Number of connections with a resume position that is not verified yet."""
        return len(self._unverified)

    def skip_history(self) -> None:
        """Start the live messages after the newest entry of the log."""
        self._swept = self._log.last.offset

    def assign_position(self, connection: Connection, last_event_id: str | None) -> None:
        """Set a new connection's position, unless the log no longer has the messages that it missed.

        Arguments:
            last_event_id: the position that the client has reached; None for a new client.
        """
        position = parse_position(last_event_id) if last_event_id is not None else self._log.last
        if position is not None and (self._log.holds(position) or self._may_exist(position)):
            connection.position = position

    def begin(self, connection: Connection) -> None:
        """Send a connection the messages that its client missed, or report that they are lost.

        Send the welcome before this. If messages are lost, the welcome has no position. So a client
        that is cut before the report reconnects with its old position, and gets the report then.
        """
        position = connection.position
        if self._log.holds(position):
            self.catch_up(connection)
        elif self._may_exist(position):
            connection.replaying = True
            self._unverified[connection] = False
        else:
            connection.report_loss(self._log.last, GONE_TEXT)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._unverified.pop(connection, None)

    def deliver(self, _entry: Entry) -> None:
        """Send the log's new entries: to the first connections now, to the others in later turns."""
        if self._unverified:
            self._verify(None)
        if self._unserved is None and self._prepare_sweep():
            self._sweep()

    def verify(self, end: Position) -> None:
        """Report a loss to clients with a resume position beyond the log's end.

        Called about once a second.

        Arguments:
            end: the position of the log's newest entry, as the engine has just read it.
        """
        if self._unverified:
            self._verify(end)

    def restarted(self) -> None:
        """Report a loss to every client that is not at the end of the restarted log."""
        self.skip_history()
        self._unserved = None
        self._batches.clear()
        last = self._log.last
        for connection in list(self._connections()):
            position = connection.position
            same_epoch = position is not None and position.epoch == last.epoch
            if position is None or not same_epoch or position.offset < last.offset:
                self._unverified.pop(connection, None)
                connection.replaying = False
                connection.report_loss(last, GONE_TEXT if same_epoch else RESTARTED_TEXT)

    def catch_up(self, connection: Connection) -> None:
        """Send a connection its missed messages: one batch now, the others as the client reads."""
        connection.replaying = True
        if connection.reason is not None:
            return
        loop, last = asyncio.get_running_loop(), self._log.last
        if connection.offset < last.offset and not self._log.holds(connection.position):
            connection.report_loss(last, GONE_TEXT)
        elif connection.is_full:
            loop.call_later(FULL_OUTBOX_RETRY_S, self.catch_up, connection)
            return
        elif connection.offset < last.offset:
            connection.forward(self._batch_after(connection.offset))
        if connection.offset < last.offset:
            loop.call_soon(self.catch_up, connection)
        else:
            connection.replaying = False

    def _may_exist(self, position: Position | None) -> bool:
        """Return whether another server may have sent a position that this copy does not hold."""
        if position is None or not self._lags:
            return False
        last = self._log.last
        return position.epoch != last.epoch or position.offset > last.offset

    def _verify(self, end: Position | None) -> None:
        """Resume connections if the log has reached their position; report a loss if it never will.

        The first end after a connection began may have been read earlier, when the log was shorter.
        So only the second one proves that the connection's position does not exist.

        Arguments:
            end: the position of the log's newest entry; None if it was not read.
        """
        for connection, end_was_read in list(self._unverified.items()):
            position = connection.position
            if self._log.holds(position):
                del self._unverified[connection]
                self.catch_up(connection)
            elif not self._may_exist(position) or (end_was_read and not _exists(position, end)):
                del self._unverified[connection]
                connection.replaying = False
                connection.report_loss(self._log.last, GONE_TEXT)
            elif end is not None:
                self._unverified[connection] = True

    def _prepare_sweep(self) -> bool:
        """Prepare a sweep with the new entries; return whether there are any."""
        last = self._log.last
        if last.offset == self._swept:
            self._unserved = None
            return False
        is_held = self._log.holds(Position(last.epoch, self._swept))
        self._batch = self._batch_after(self._swept) if is_held else None
        self._sweep_end = self._batch.last if self._batch is not None else last.offset
        self._unserved = iter(list(self._connections()))
        return True

    def _sweep(self) -> None:
        """Serve the next connections, and schedule the rest of the sweep."""
        for _ in range(CONNECTIONS_PER_TURN):
            connection = next(self._unserved, None) if self._unserved is not None else None
            if connection is not None:
                self._serve(connection)
                continue
            if self._unserved is None:
                return
            self._swept = self._sweep_end
            if not self._prepare_sweep():
                return
        asyncio.get_running_loop().call_soon(self._sweep)

    def _serve(self, connection: Connection) -> None:
        try:
            if connection.replaying:
                return
            if connection.offset == self._swept and self._batch is not None:
                connection.forward(self._batch)
            elif connection.offset < self._sweep_end:
                self.catch_up(connection)
        except Exception:
            # An error of one connection must not stop the sweep for all others.
            log.exception("%s: sending failed", connection.client)
            connection.end(Reason.SERVER_ERROR)

    def _batch_after(self, offset: int) -> Batch:
        """Return the batch of entries after an offset, with at least one entry.

        A batch ends at a multiple of `BATCH_ENTRIES`, unless `BATCH_BYTES` or the log ends it earlier.
        So clients that resume at different positions soon share batches, which are encoded once.
        """
        end = min((offset // BATCH_ENTRIES + 1) * BATCH_ENTRIES, self._log.last.offset)
        cached = self._batches.get(offset)
        if cached is not None and cached[0] == end:
            return cached[1]
        entries: list[tuple[Entry, bool]] = []
        size = 0
        for entry in self._log.after(offset, end - offset):
            size += len(entry.payload)
            if entries and size > BATCH_BYTES:
                break
            entries.append((entry, self._always(entry.producer)))
        batch = Batch(entries)
        self._batches[offset] = end, batch
        if len(self._batches) > CACHED_BATCHES:
            self._batches.popitem(last=False)
        return batch


def _exists(position: Position | None, end: Position | None) -> bool:
    """Return whether the log has reached a position; True if the end of the log is unknown."""
    if position is None or end is None:
        return end is None
    return position.epoch == end.epoch and position.offset <= end.offset
