"""Know who is connected; deliver to them, receive from them, and send them away."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from time import perf_counter

import msgspec

from rtdemo.engine.interface import Draft, Engine, Subscriber, check_draft
from rtdemo.errors import Unavailable, one_line
from rtdemo.hub import control, private_producers, statistics
from rtdemo.hub.connection import Connection
from rtdemo.hub.fanout import Fanout
from rtdemo.hub.outbox import Outbox
from rtdemo.hub.selection import Selection
from rtdemo.hub.shared_producers import SharedProducers
from rtdemo.hub.statistics import Statistics, Traffic
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.protocol.client import TRANSPORTS, Client, Transport
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Broadcast, Message, Position
from rtdemo.protocol.wire import WireFormat
from rtdemo.timing.histogram import Histogram
from rtdemo.timing.schedule import Schedule

log = logging.getLogger(__name__)

PUBLISH_TIMEOUT = 2.0
"""Seconds for the engine to take a message, after which its sender is told that it is away."""


class Hub:
    """Keep the open connections and put their producers to work.

    Arguments:
        plugins: the loaded plugins.
        schedule: where the producers' ticks stand.
        engine: keeps the log of shared messages.
        names: under which one may publish besides the producers', before the first message.
        lab: whether clients may break their own connections.

    Attributes:
        traffic: counters by transport.
        shared: the producers that run once for everyone.
        publish_latency: seconds from a publication from outside to its answer by the engine.
        draining: whether it is sending everyone away and takes nobody new.
    """

    def __init__(
        self,
        plugins: PluginManager,
        schedule: Schedule,
        engine: Engine,
        names: Collection[str] = (),
        lab: bool = False,
    ) -> None:
        self.plugins = plugins
        self.schedule = schedule
        self.engine = engine
        self._names = names
        self._lab = lab
        self.traffic: dict[Transport, Traffic] = {name: Traffic() for name in TRANSPORTS}
        self.draining = False
        self._connections: dict[str, Connection] = {}
        self.shared = SharedProducers(plugins, schedule, engine)
        self._fanout = Fanout(engine.log, engine.may_lag, self._connections.values, plugins.is_always)
        self.publish_latency = Histogram()
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._connections)

    def count(self, transport: Transport) -> int:
        """Return how many connections of a transport are open."""
        return sum(c.client.transport == transport for c in self._connections.values())

    def find(self, client_id: str) -> Connection | None:
        """Return the connection of a client, by its secret id."""
        return self._connections.get(client_id)

    def follow(self) -> None:
        """Deliver what enters the log from now on; run the shared producers where this server leads."""
        fanout = self._fanout
        self.engine.follow(
            Subscriber(
                fanout.deliver, fanout.checked, fanout.restarted, self.shared.lead, self._presence
            )
        )

    def _presence(self) -> dict[str, object]:
        return {name: self.count(name) for name in TRANSPORTS}

    def names(self, client: Client) -> list[str]:
        """Return what a client may pick: producers, and names under which something is published."""
        return sorted({*self.plugins.names(client), *self.plugins.replying, *self.published})

    @property
    def published(self) -> list[str]:
        """The names of what comes into the log from outside, or by a plugin's `Broadcast`."""
        return list(dict.fromkeys([*self._names, *self.engine.log.producers]))

    def join(
        self, connection: Connection, selection: Selection, last_event_id: str | None = None
    ) -> None:
        """Take a connection in, start its producers, and send it what it missed.

        What runs at connect is sent at once, then the history behind `last_event_id`, then what comes.

        Arguments:
            last_event_id: the position that its client has reached; None where it is new.
        """
        client = connection.client
        self._fanout.place(connection, last_event_id)
        self._connections[client.id] = connection
        log.info("%s connected from %s", client, client.remote, extra=_facts(client))
        connection.selection = selection
        self.plugins.hooks.connected(client)
        private_producers.begin(connection, self.plugins.producers_for(client), self.schedule)
        if last_event_id is not None:
            self.traffic[client.transport].resumes += 1
        self._fanout.begin(connection)

    def publish(self, drafts: Sequence[Draft], key: str = "") -> asyncio.Future[list[Position]]:
        """Put messages into the log, for everyone.

        Arguments:
            key: an idempotency key, as `Engine.publish` says.

        Raises:
            ValueError: when one is too big or no Unicode text.
        """
        for draft in drafts:
            check_draft(draft)
        began = perf_counter()
        future = self.engine.publish(drafts, key)
        future.add_done_callback(lambda _: self.publish_latency.record(perf_counter() - began))
        return future

    def select(self, connection: Connection, selection: Selection) -> None:
        """Change what a client receives, without reconnecting."""
        offered = self.plugins.producers_for(connection.client)
        private_producers.select(connection, offered, self.schedule, selection)

    def swap(self, plugin: str) -> None:
        """Put a plugin's new producers to work in place of its old ones, on every connection."""
        for connection in list(self._connections.values()):
            offered = self.plugins.producers_for(connection.client)
            private_producers.swap(connection, offered, self.schedule, plugin)
        self.shared.swap(plugin)

    def leave(self, connection: Connection, reason: Reason) -> None:
        """Let a connection go and stop its producers; one that ended keeps its own reason."""
        client = connection.client
        if self._connections.pop(client.id, None) is None:
            return
        self._fanout.leave(connection)
        connection.closed(reason)
        reason = connection.reason or reason
        seconds = self.schedule.clock.time() - connection.opened_at
        log.info(
            "%s disconnected: %s after %.1f s and %d messages",
            client,
            reason,
            seconds,
            connection.sent,
            extra=_facts(client)
            | {
                "reason": reason.text,
                "code": reason.code,
                "seconds": seconds,
                "messages": connection.sent,
            },
        )
        self.plugins.hooks.disconnected(client, reason)
        if not self._connections:
            self._empty.set()

    async def receive(self, connection: Connection, text: str) -> None:
        """Take a client's text and send it every plugin's reply."""
        client = connection.client
        self.traffic[client.transport].received += 1
        log.debug("%s says %r", client, text)
        wanted = control.read(text)
        if wanted is not None:
            select = partial(self.select, connection)
            control.obey(connection, wanted, self.names(client), select, self._lab)
            return
        await self.plugins.hooks.receive(client, text, partial(self._reply, connection))

    async def _reply(self, connection: Connection, plugin: str, answer: str | Broadcast) -> None:
        if isinstance(answer, str):
            connection.send(plugin, answer, periodic=False)
            return
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT):
                await self.publish([Draft(Message(answer.message), answer.producer or plugin)])
        except (ValueError, Unavailable, TimeoutError) as error:
            why = one_line(error) if isinstance(error, ValueError) else "the log is away; say it again"
            connection.send(plugin, f"Not sent to everyone: {why}", periodic=False)

    def statistics(self, uptime: float, loop_lag: Histogram) -> Statistics:
        """Return this server's statistics: a copy, to which those of other workers can be added.

        Arguments:
            uptime: seconds since the server started.
            loop_lag: how late the event loop was, in seconds.
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
            tick_lag=self.schedule.lag,
            loop_lag=loop_lag,
            publish=self.publish_latency,
            producers=[statistics.shown(account) for account in self.plugins.registry.supervisors],
            servers={self.engine.server or str(os.getpid()): connections},
        )
        return statistics.read(msgspec.json.encode(counted))

    async def drain(self, grace: float) -> None:
        """End every connection as going away and wait until all have left.

        Arguments:
            grace: seconds to wait; whoever is left then is the transport's to cut.
        """
        self.draining = True
        self.shared.stop()
        if not self._connections:
            return
        self._empty.clear()
        for connection in list(self._connections.values()):
            connection.end(Reason.GOING_AWAY)
        try:
            async with asyncio.timeout(grace):
                await self._empty.wait()
        except TimeoutError:
            log.warning("%d connections did not close in %g s", len(self._connections), grace)

    def connection(
        self,
        client: Client,
        outbox: Outbox,
        wire_format: WireFormat,
        hang_up: Callable[[Reason], object],
    ) -> Connection:
        """Make a connection that counts and keeps time with this hub."""
        traffic = self.traffic[client.transport]
        return Connection(client, outbox, wire_format, hang_up, traffic, self.schedule.clock)


def _facts(client: Client) -> dict[str, object]:
    return {"client": client.tag, "transport": client.transport, "remote": client.remote}
