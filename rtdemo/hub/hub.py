"""The open connections of this server: add them, send to them, receive from them, end them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from rtdemo.engine.interface import Draft, Engine, Subscriber, check_draft
from rtdemo.errors import OverLimit, Unavailable, one_line
from rtdemo.hub import control, private_producers, statistics
from rtdemo.hub.connection import Connection
from rtdemo.hub.connection_log import ConnectionLog
from rtdemo.hub.drain import Drain
from rtdemo.hub.expiry import Expiry
from rtdemo.hub.fanout import Fanout
from rtdemo.hub.limits import Limits
from rtdemo.hub.outbox import Outbox
from rtdemo.hub.past import NO_PAST, Past
from rtdemo.hub.selection import KnownNames, Selection
from rtdemo.hub.shared_producers import SharedProducers
from rtdemo.hub.statistics import Statistics, Traffic
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.protocol.client import TRANSPORTS, Client, Transport
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.protocol.message import Broadcast, Message, Position
from rtdemo.protocol.wire import WireFormat
from rtdemo.publisher.waiting import PublishCounts
from rtdemo.settings.settings import Settings
from rtdemo.timing.histogram import Histogram
from rtdemo.timing.schedule import Schedule

log = logging.getLogger(__name__)

PUBLISH_TIMEOUT_S = 2.0
"""Seconds for the engine to take a message; then its sender gets an error."""


class Hub:
    """Hold the open connections, and run the producers for them.

    Arguments:
        plugins: the loaded plugins.
        schedule: runs the producers' ticks.
        engine: keeps the log of shared messages.
        names: further names that clients may pick before the first message under them is published.
        lab: whether clients may inject faults into their own connection.
        wrap_outbox: called with the outbox of each new connection; returns the one to use instead.
        limits: the settings that have the limits; by default the default settings.

    Attributes:
        plugins, schedule, engine, lab: as given.
        traffic: counters by transport.
        limits: what clients may do.
        refused: requests, connections and texts that a limit refused, by the name of the limit.
        shared: the shared producers.
        publish_latency: seconds from a publication from outside to the engine's answer.
        connection_log: logs connects and disconnects.
        capacity: number of connections for which the process has file descriptors; None for no limit.
        draining: whether all connections are being ended.
        refusing: whether new connections are refused.
    """

    def __init__(
        self,
        plugins: PluginManager,
        schedule: Schedule,
        engine: Engine,
        names: Collection[str] = (),
        lab: bool = False,
        wrap_outbox: Callable[[Outbox], Outbox] | None = None,
        limits: Settings | None = None,
    ) -> None:
        self.plugins = plugins
        self.schedule = schedule
        self.engine = engine
        self._names = names
        self.lab = lab
        self._wrap_outbox = wrap_outbox
        self.traffic: dict[Transport, Traffic] = {name: Traffic() for name in TRANSPORTS}
        self.refused: Counter[str] = Counter()
        self.capacity: int | None = None
        self.limits = Limits(limits or Settings(), schedule.clock.time, self.refused)
        self.draining = self.refusing = False
        self._connections: dict[str, Connection] = {}
        self.shared = SharedProducers(plugins, schedule, engine)
        self._fanout = Fanout(
            engine.log, engine.may_lag, plugins.is_always, self.limits.replay_wait, schedule.clock
        )
        self._expiry = Expiry(schedule)
        self.publish_latency = Histogram()
        self.connection_log = ConnectionLog(schedule.clock)
        self._empty = asyncio.Event()
        self._drain: Drain | None = None

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def connections(self) -> list[Connection]:
        """The connections that are open now: a copy, since connections may end while it is used."""
        return list(self._connections.values())

    @property
    def is_full(self) -> bool:
        """Whether no further connection may be added."""
        return self.capacity is not None and len(self._connections) >= self.capacity

    @property
    def unverified(self) -> int:
        """Number of connections that wait until it is certain whether their position exists."""
        return self._fanout.unverified

    def count(self, transport: Transport) -> int:
        """Return the number of open connections of a transport."""
        return sum(c.client.transport == transport for c in self._connections.values())

    def find(self, client_id: str) -> Connection | None:
        """Return the open connection of a client by its secret id; None where there is none."""
        return self._connections.get(client_id)

    def new_connection(
        self,
        client: Client,
        outbox: Outbox,
        wire_format: WireFormat,
        hang_up: Callable[[Reason], object],
        connection_info: Callable[[], ConnectionInfo] | None = None,
    ) -> Connection:
        """Return a new connection that uses this hub's counters and clock; `join` adds it.

        Arguments:
            client, outbox, wire_format, hang_up, connection_info: as `Connection` takes them.
        """
        traffic, clock = self.traffic[client.transport], self.schedule.clock
        if self._wrap_outbox is not None:
            outbox = self._wrap_outbox(outbox)
        return Connection(client, outbox, wire_format, hang_up, traffic, clock, connection_info)

    def follow(self) -> None:
        """Deliver new entries of the log from now on, and run the shared producers while leading."""
        fanout = self._fanout
        self.engine.follow(
            Subscriber(fanout.deliver, fanout.verify, fanout.restarted, self.shared.lead, self._presence)
        )

    def _presence(self) -> dict[str, object]:
        return {name: self.count(name) for name in TRANSPORTS}

    def names(self, client: Client) -> KnownNames:
        """Return the names that a client may pick: producers, and names that are published under."""
        few = {*self.plugins.names(client), *self.plugins.replying, *self._names}
        users = {**self._fanout.restrictions.users_by_producer, **self.plugins.shared_users}
        hidden = {name for name, some in users.items() if some is not None and client.user not in some}
        return KnownNames(few - hidden, self.engine.log.producers, hidden)

    def users_of(self, name: str) -> frozenset[str] | None:
        """Return the users that receive the shared messages under a name; None for everyone."""
        shared = self.plugins.shared_users
        return shared[name] if name in shared else self._fanout.restrictions.users_by_producer.get(name)

    @property
    def published(self) -> list[str]:
        """The names under which messages enter the log from outside, or by a plugin's `Broadcast`."""
        return list(dict.fromkeys([*self._names, *self.engine.log.producers]))

    def join(
        self,
        connection: Connection,
        selection: Selection,
        last_event_id: str | None = None,
        expires: float | None = None,
        past: Past = NO_PAST,
    ) -> None:
        """Add a connection, start its producers, and send what its client missed.

        Producers that run at connect send first, then the missed messages follow, then live ones.

        Arguments:
            connection: made by `new_connection`.
            selection: what the client asked for.
            last_event_id: position in the log that the client has reached; None for a new client.
            expires: when its login expires, in seconds since the Unix epoch; None for never.
            past: what a new client gets before live messages.
        """
        client = connection.client
        self._connections[client.id] = connection
        self.limits.opened(client.remote)
        if expires is not None:
            self._expiry.add(connection, expires - time.time())
        self._fanout.add(connection, selection, last_event_id, past)
        self.connection_log.connected(client)
        self.plugins.hooks.connected(client)
        private_producers.start(connection, self.plugins.producers_for(client), self.schedule)
        if last_event_id is not None:
            self.traffic[client.transport].resumes += 1
        self._fanout.begin(connection)

    def publish(self, drafts: Sequence[Draft], key: str = "") -> asyncio.Future[list[Position]]:
        """Put messages into the log, for all connections.

        Arguments:
            drafts: in the order in which they enter the log.
            key: idempotency key, as for `Engine.publish`.

        Returns:
            Their positions, or an error, as from `Engine.publish`.

        Raises:
            ValueError: a message is too large, or is not Unicode text.
        """
        for draft in drafts:
            check_draft(draft)
        drafts = [self._restricted(draft) for draft in drafts]
        began = perf_counter()
        future = self.engine.publish(drafts, key)
        future.add_done_callback(lambda _: self.publish_latency.record(perf_counter() - began))
        return future

    def _restricted(self, draft: Draft) -> Draft:
        """Return a draft that reaches only the users of its producer's name."""
        users = self.users_of(draft.producer)
        return draft if users is None else msgspec.structs.replace(draft, users=users)

    def select(self, connection: Connection, selection: Selection) -> None:
        """Change what a client receives, without a reconnect."""
        has_new_speed = selection.speed != connection.selection.speed
        self._fanout.select(connection, selection)
        offered = self.plugins.producers_for(connection.client)
        private_producers.select(connection, offered, self.schedule, has_new_speed)

    def swap(self, plugin: str) -> None:
        """Replace the producers of a plugin by those that it has now, on every connection."""
        for connection in self.connections:
            offered = self.plugins.producers_for(connection.client)
            private_producers.swap(connection, offered, self.schedule, plugin)
        self.shared.swap(plugin)

    def leave(self, connection: Connection, reason: Reason) -> None:
        """Remove a connection and stop its producers.

        Arguments:
            connection: does nothing if it was removed already.
            reason: why it ended; one that has ended keeps its own reason.
        """
        client = connection.client
        if self._connections.pop(client.id, None) is None:
            return
        self.limits.closed(client.remote)
        self._fanout.leave(connection)
        self._expiry.remove(connection)
        connection.mark_ended(reason)
        reason = connection.reason or reason
        seconds = self.schedule.clock.time() - connection.opened_at
        self.connection_log.disconnected(client, reason, seconds, connection.sent)
        self.plugins.hooks.disconnected(client, reason)
        if not self._connections:
            self._empty.set()

    def receive(self, connection: Connection, text: str) -> Coroutine[Any, Any, None] | None:
        """Handle a text of a client: a control message, or one for the plugins, which may reply.

        Returns:
            A coroutine that does the rest, if a plugin or a reply needs to wait; else None.
        """
        client = connection.client
        self.traffic[client.transport].received += 1
        # Checked here: nearly no text needs either call, and an echo takes only 5 us.
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s sent %r", client, text)
        wanted = control.read(text) if text.startswith("{") else None
        if wanted is not None:
            select = partial(self.select, connection)
            control.handle(connection, wanted, self.names(client), select, self.lab)
            return None
        return self.plugins.hooks.receive(client, text, partial(self._reply, connection))

    def _reply(
        self, connection: Connection, plugin: str, answer: str | Broadcast
    ) -> Coroutine[Any, Any, None] | None:
        if isinstance(answer, Broadcast):
            return self._broadcast(connection, plugin, answer)
        connection.send(plugin, answer, periodic=False)
        return None

    async def _broadcast(self, connection: Connection, plugin: str, answer: Broadcast) -> None:
        try:
            self.limits.check_broadcast(connection, answer.message)
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self.publish([Draft(Message(answer.message), answer.producer or plugin)])
        except OverLimit as error:
            self._not_sent(connection, plugin, error.sentence)
        except ValueError as error:
            self._not_sent(connection, plugin, one_line(error))
        except (Unavailable, TimeoutError):
            self._not_sent(connection, plugin, "the log is unavailable; send the message again")

    def _not_sent(self, connection: Connection, plugin: str, why: str) -> None:
        connection.send(plugin, f"Not sent to everyone: {why}", periodic=False)

    def statistics(
        self, uptime: float, loop_lag: Histogram, published_here: PublishCounts
    ) -> Statistics:
        """Return this server's statistics: a copy, to which those of other workers can be added.

        Arguments:
            uptime: seconds since the server started.
            loop_lag: seconds by which the event loop was late.
            published_here: what became of messages that code in the server has published.
        """
        connections = {name: self.count(name) for name in TRANSPORTS}
        counted = Statistics(
            worker=os.getpid(),
            uptime=uptime,
            cpu=time.process_time(),
            tasks=len(asyncio.all_tasks()),
            timers=self.schedule.ticks,
            skipped=self.schedule.skipped,
            unpublished=self.shared.unpublished,
            leading=self.shared.leading,
            connections=connections,
            traffic=self.traffic,
            refused=self.refused,
            published_here=published_here,
            tick_lag=self.schedule.lag,
            loop_lag=loop_lag,
            publish=self.publish_latency,
            producers=list(map(statistics.of_producer, self.plugins.registry.supervisors)),
            servers={self.engine.server or str(os.getpid()): connections},
        )
        return statistics.read(msgspec.json.encode(counted))

    async def drain(self, seconds: float, grace: float, refuse: bool = True) -> None:
        """End every connection as going away, spread over some seconds, and wait until all have left.

        Shared producers run until the end, for the clients that are still connected and for other
        servers, which cannot lead before.

        Arguments:
            seconds: time over which the ends are spread, by the schedule's clock; 0 for all at once.
            grace: further seconds to wait; connections that are open then are left to their transport.
            refuse: whether new connections are refused from the start.
        """
        self.draining, self.refusing = True, refuse
        if self._connections:
            self._empty.clear()
            self._drain = Drain(self.schedule, lambda: self.connections, seconds)
            self._drain.start()
            try:
                async with asyncio.timeout(seconds + grace):
                    await self._empty.wait()
            except TimeoutError:
                log.warning("%d connections did not close in %g s", len(self), seconds + grace)
            finally:
                self._drain.close()
        self.shared.stop()

    @property
    def refuses_for_s(self) -> float:
        """Seconds for which this server goes on to refuse new connections, as it drains; else 0."""
        return self._drain.seconds_left if self.refusing and self._drain is not None else 0.0

    def end_all(self) -> None:
        """End all connections that a drain has not ended yet; without a drain, do nothing."""
        if self._drain is not None:
            self._drain.end_all()
