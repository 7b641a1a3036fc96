"""Send the log's entries to every connection: new entries, and missed entries after a reconnect."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from random import getrandbits

from rtdemo.engine.log import Entry, Log
from rtdemo.hub.batch import Audience, Batch
from rtdemo.hub.batch_cache import BatchCache
from rtdemo.hub.connection import POSITION_UPDATE_ENTRIES, Connection
from rtdemo.hub.opening import Opening
from rtdemo.hub.past import NO_PAST, Past
from rtdemo.hub.restrictions import Restrictions
from rtdemo.hub.selection import Selection
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Position, parse_opening_position
from rtdemo.timing.schedule import Clock

CONNECTIONS_PER_TURN = 64
"""Connections that a sweep serves before other tasks of the event loop run."""
FULL_OUTBOX_RETRY_S = 0.02
"""Seconds until a resuming connection with a full outbox is checked again."""

GONE_TEXT = "The messages you missed are no longer in the log and are lost. Live messages follow."
RESTARTED_TEXT = "The log was lost, and messages may be lost with it. Live messages follow."

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Group:
    """The connections of one audience.

    Arguments:
        audience: what they get.
        reported: offset that all of them know, from a message or from a position that was sent.
        connections: a set in the order of joining.
    """

    audience: Audience
    reported: int
    connections: dict[Connection, None] = field(default_factory=dict)


@dataclass(slots=True)
class Share:
    """What a sweep has for one group, and the connections that it has not served yet.

    Arguments:
        group: the group.
        data: finished bytes; empty if the connections only get their position.
        messages: number of messages in the bytes.
        unserved: the connections.
    """

    group: Group
    data: bytes
    messages: int
    unserved: Iterator[Connection]


class Fanout:
    """Send the log's entries to the connections, each in order and none twice.

    A sweep sends the log's new entries to the groups of connections that get any of them, and touches
    no other connection. So a connection knows its own offset only as of its last message; `position`
    knows the rest. A connection that resumes at an older offset gets one batch after another, as fast
    as its client reads.

    Arguments:
        log: this server's copy of the log.
        lags: whether other servers may have sent entries that this copy does not hold yet.
        always: returns whether a producer's messages are also sent to clients that did not pick it.
        replay_wait: takes a client's address and a number of bytes that it missed; returns the seconds
            after which to send them.
        clock: times that.

    Attributes:
        restrictions: whom restricted entries are for.
    """

    def __init__(
        self,
        log: Log,
        lags: bool,
        always: Callable[[str], bool],
        replay_wait: Callable[[str, int], float],
        clock: Clock,
    ) -> None:
        self._log = log
        self._replay_wait = replay_wait
        self._clock = clock
        self._lags = lags
        self._always = always
        self._groups: dict[Audience, Group] = {}
        self._batches = BatchCache(log, always)
        # The offset that every live connection has reached, and the one after the current sweep.
        self._swept = self._sweep_end = log.last.offset
        # The current sweep: its entries, None if the log no longer has them; and what is to be served.
        self._batch: Batch | None = None
        self._shares: list[Share] = []
        self._is_sweeping = False
        # Whether the current sweep serves the connections in reverse.
        self._is_reversed = False
        # Connections with a position that only another server can have sent. Value: whether the engine
        # has read the end of the log at least once since the connection began.
        self._unverified: dict[Connection, bool] = {}
        # What new connections get before live messages, if they asked for it.
        self._openings: dict[Connection, Opening] = {}
        self.restrictions = Restrictions()
        self._note_log()

    def _note_log(self) -> None:
        """Note whom restricted entries are for, also those that are only the newest of a name."""
        log = self._log
        for entry in [*log.latest, *log.after(log.last.offset - len(log), len(log))]:
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        """Note whom an entry is for, and let them receive it."""
        users = self.restrictions.note(entry)
        if users is not None:
            self._grant(users)

    def _grant(self, users: frozenset[str]) -> None:
        """Let the connections of users receive the entries that are restricted to these users."""
        for group in list(self._groups.values()):
            for connection in list(group.connections):
                if connection.client.user in users:
                    self.select(connection, connection.selection)

    @property
    def unverified(self) -> int:
        """Number of connections with a resume position that is not verified yet."""
        return len(self._unverified)

    def skip_history(self) -> None:
        """Start the live messages after the newest entry of the log."""
        self._swept = self._sweep_end = self._log.last.offset

    def add(
        self,
        connection: Connection,
        selection: Selection,
        last_event_id: str | None,
        past: Past = NO_PAST,
    ) -> None:
        """Add a new connection. It gets no entries before `begin`.

        It has a position from now on, unless the log no longer has the messages that it missed.

        Arguments:
            selection: what its client asked for.
            last_event_id: the position that the client has reached; None for a new client.
            past: what a new client receives before live messages.
        """
        connection.replaying = True
        self._enter_group(connection, selection)
        if last_event_id is not None:
            position, connection.newest_up_to = parse_opening_position(last_event_id)
            if position is not None and (self._log.holds(position) or self._may_exist(position)):
                connection.position = position
        else:
            connection.position = self._log.last if past is NO_PAST else self._open(connection, past)

    def _open(self, connection: Connection, past: Past) -> Position:
        """Note what a new connection gets before live messages; return where the log begins for it."""
        start, is_truncated = (
            self._log.start_of(past.seconds) if past.seconds else (self._log.last, False)
        )
        # What is in the log behind the start comes from there.
        older = self._newest(connection, 0, start.offset) if past.latest else deque()
        self._openings[connection] = Opening(older, is_truncated, past)
        connection.newest_up_to = 0 if older else None
        return start

    def _newest(self, connection: Connection, after: int, until: int) -> deque[Entry]:
        """Return the newest entries of the producers that a client picked, the oldest first.

        Arguments:
            connection: of the client.
            after: only entries with a larger offset.
            until: only entries up to this offset.
        """
        gets, always = connection.audience.gets, self._always
        return deque(
            entry
            for entry in self._log.latest
            if after < entry.position.offset <= until and gets(entry, always(entry.producer))
        )

    def _holds(self, connection: Connection) -> bool:
        """Return whether the log has what a connection gets next.

        A new one has received nothing of the past yet. What the log has dropped meanwhile is no loss:
        its past begins later.
        """
        position, last = connection.position, self._log.last
        if self._log.holds(position):
            return True
        opening = self._openings.get(connection)
        if opening is None or not opening.past.seconds:
            return False
        if position is None or position.epoch != last.epoch:
            return False
        oldest = last.offset - len(self._log)
        is_latest = opening.past.latest
        opening.truncate(self._newest(connection, position.offset, oldest) if is_latest else ())
        connection.offset = oldest
        return True

    def begin(self, connection: Connection) -> None:
        """Send a connection the messages that its client missed, or report that they are lost.

        Send the welcome before this. If messages are lost, the welcome has no position. So a client
        that is cut before the report reconnects with its old position, and gets the report then.
        """
        is_at_end = connection.position == self._log.last and connection.newest_up_to is None
        if is_at_end and connection not in self._openings:
            connection.replaying = False  # nearly every new client
        elif self._holds(connection):
            self._continue(connection)
        elif self._may_exist(connection.position):
            self._unverified[connection] = False
        else:
            self._report_loss(connection, GONE_TEXT)

    def _continue(self, connection: Connection) -> None:
        """Send what a connection misses; first the newest messages of producers that a cut left out."""
        up_to = connection.newest_up_to
        if up_to is not None and connection not in self._openings:
            rest = self._newest(connection, up_to, connection.offset)
            self._openings[connection] = Opening(rest, is_truncated=False, past=NO_PAST)
        self.catch_up(connection)

    def select(self, connection: Connection, selection: Selection) -> None:
        """Change what a connection gets; an entry that is in the log already does not come twice."""
        connection.offset = self._reached(connection)
        self._leave_group(connection)
        self._enter_group(connection, selection)
        group = self._groups[connection.audience]
        group.reported = min(group.reported, connection.reported_offset)
        if not connection.replaying and connection.offset < self._sweep_end:
            self.catch_up(connection)

    def position(self, connection: Connection) -> Position | None:
        """Return the position up to which a connection has all entries that it gets."""
        position = connection.position
        return position and Position(position.epoch, self._reached(connection))

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._unverified.pop(connection, None)
        self._openings.pop(connection, None)
        self._leave_group(connection)

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Send the log's new entries: to the first connections now, to the others in later turns."""
        for entry in entries:
            if entry.users is not None:
                self._note(entry)
        if self._unverified:
            self._verify(None)
        if not self._is_sweeping and self._prepare_sweep():
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
        connections = [each for group in self._groups.values() for each in group.connections]
        for connection in connections:
            connection.offset = self._reached(connection)
        self.skip_history()
        self._is_sweeping = False
        self._batches.clear()
        last = self._log.last
        for group in self._groups.values():
            group.reported = last.offset
        for connection in connections:
            position = connection.position
            same_epoch = position is not None and position.epoch == last.epoch
            if position is None or not same_epoch or position.offset < last.offset:
                self._unverified.pop(connection, None)
                self._report_loss(connection, GONE_TEXT if same_epoch else RESTARTED_TEXT)
        self._note_log()

    def catch_up(self, connection: Connection, has_waited: bool = False) -> None:
        """Send a connection its missed messages: one batch now, the others as the client reads.

        Above the limit of the client's address they are sent later.

        Arguments:
            connection: the connection.
            has_waited: whether it has waited for that limit, so that one batch is within it.
        """
        connection.replaying = True
        if connection.reason is not None:
            return
        loop, last = asyncio.get_running_loop(), self._log.last
        if connection.offset < last.offset and not self._holds(connection):
            self._report_loss(connection, GONE_TEXT)
            return
        if connection.is_full:
            loop.call_later(FULL_OUTBOX_RETRY_S, self.catch_up, connection, has_waited)
            return
        opening = self._openings.get(connection)
        has_more = connection.offset < last.offset or (opening is not None and bool(opening.latest))
        if has_more:
            data, messages, end = self._next_part(connection, opening)
            is_free = has_waited or not data
            wait = 0.0 if is_free else self._replay_wait(connection.client.remote, len(data))
            if wait > 0.0:
                again = partial(self.catch_up, connection, has_waited=True)
                self._clock.call_at(self._clock.time() + wait, again)
                return
            if opening is not None and opening.advance(messages):
                del self._openings[connection]
                opening = None
            if messages:
                connection.forward(data, messages, end)
            else:
                connection.pass_over(end)
        if connection.offset < last.offset or (opening is not None and opening.latest):
            loop.call_soon(self.catch_up, connection)
        else:
            self._openings.pop(connection, None)
            connection.newest_up_to = None
            connection.replaying = False
            if opening is not None and opening.is_truncated:
                # No message of the past was sent that could say so.
                connection.report_truncated()

    def _next_part(self, connection: Connection, opening: Opening | None) -> tuple[bytes, int, int]:
        """Return what a connection gets next: bytes, their number of messages, and the last offset."""
        audience = connection.audience
        if opening is not None and opening.latest:
            data, messages = opening.part(connection, self._always)
            return data, messages, connection.offset
        batch = self._batches.after(connection.offset)
        is_truncated = opening is not None and opening.is_truncated
        data, messages = (batch.truncated_part if is_truncated else batch.part)(audience)
        return data, messages, batch.last

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
                self._continue(connection)
            elif not self._may_exist(position) or (end_was_read and not _exists(position, end)):
                del self._unverified[connection]
                self._report_loss(connection, GONE_TEXT)
            elif end is not None:
                self._unverified[connection] = True

    def _report_loss(self, connection: Connection, text: str) -> None:
        connection.replaying = False
        # Its values are older than the position that follows.
        self._openings.pop(connection, None)
        connection.newest_up_to = None
        connection.report_loss(self._log.last, text)

    def _enter_group(self, connection: Connection, selection: Selection) -> None:
        user = connection.client.user
        if user is not None:
            connection.rights = self.restrictions.rights(user)
        connection.selection = selection
        group = self._groups.get(connection.audience)
        if group is None:
            group = self._groups[connection.audience] = Group(connection.audience, self._swept)
        group.connections[connection] = None

    def _leave_group(self, connection: Connection) -> None:
        group = self._groups.get(connection.audience)
        if group is not None:
            group.connections.pop(connection, None)
            if not group.connections:
                del self._groups[connection.audience]

    def _reached(self, connection: Connection) -> int:
        """Return the offset up to which a connection has all entries that it gets."""
        if connection.replaying or connection.offset >= self._sweep_end:
            return connection.offset
        awaits_sweep = self._is_sweeping and (
            self._batch is None or self._batch.part(connection.audience)[1] > 0
        )
        return max(connection.offset, self._swept) if awaits_sweep else self._sweep_end

    def _prepare_sweep(self) -> bool:
        """Prepare a sweep with the new entries; return whether there are any."""
        last = self._log.last
        self._is_sweeping = last.offset != self._swept and bool(self._groups)
        if not self._is_sweeping:
            self.skip_history()
            return False
        is_held = self._log.holds(Position(last.epoch, self._swept))
        self._batch = self._batches.after(self._swept) if is_held else None
        self._sweep_end = self._batch.last if self._batch is not None else last.offset
        # At random, so that no connection waits for another one more often. If sweeps only took turns,
        # so would producers that publish alternately.
        self._is_reversed = getrandbits(1) == 1
        groups = reversed(self._groups.values()) if self._is_reversed else self._groups.values()
        self._shares = [share for group in groups if (share := self._share(group))]
        return True

    def _share(self, group: Group) -> Share | None:
        """Return what the current sweep has for a group; None for nothing."""
        data, messages = b"", 0
        if self._batch is not None:
            data, messages = self._batch.part(group.audience)
            if not messages and self._sweep_end - group.reported < POSITION_UPDATE_ENTRIES:
                return None
            group.reported = self._sweep_end
        # `_sweep` begins with the last share, so the order within a group is the other one.
        order = iter if self._is_reversed else reversed
        return Share(group, data, messages, order(list(group.connections)))

    def _sweep(self) -> None:
        """Serve the next connections, and schedule the rest of the sweep."""
        room = CONNECTIONS_PER_TURN
        while room > 0 and self._is_sweeping:
            if self._shares:
                share, served = self._shares[-1], 0
                for connection in islice(share.unserved, room):
                    served += 1
                    try:
                        if connection.offset > self._swept or connection.replaying or not share.data:
                            self._serve_alone(connection, share)
                        else:
                            connection.forward(share.data, share.messages, self._sweep_end)
                    except Exception:
                        # An error of one connection must not stop the sweep for all others.
                        log.exception("%s: sending failed", connection.client)
                        connection.end(Reason.SERVER_ERROR)
                if served < room and self._shares:
                    self._shares.pop()
                room -= max(1, served)
            else:
                self._swept = self._sweep_end
                self._prepare_sweep()
        if self._is_sweeping:
            asyncio.get_running_loop().call_soon(self._sweep)

    def _serve_alone(self, connection: Connection, share: Share) -> None:
        """Serve a connection that does not get the bytes of its group."""
        if connection.replaying:
            return
        if connection.offset > self._swept or self._batch is None:
            # It joined during the sweep, or the log no longer has what it is to get.
            connection.offset = max(connection.offset, self._swept)
            if connection.offset < self._sweep_end:
                self.catch_up(connection)
        else:
            connection.pass_over(self._sweep_end)
            share.group.reported = min(share.group.reported, connection.reported_offset)


def _exists(position: Position | None, end: Position | None) -> bool:
    """Return whether the log has reached a position; True if the end of the log is unknown."""
    if position is None or end is None:
        return end is None
    return position.epoch == end.epoch and position.offset <= end.offset
