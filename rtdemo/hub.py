"""Know who is connected; deliver to them, receive from them, and send them away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from time import perf_counter

from rtdemo import control, feeds
from rtdemo.client import TRANSPORTS, Client, Transport
from rtdemo.connection import Connection
from rtdemo.engine.interface import Draft, Engine, Subscriber
from rtdemo.errors import Unavailable
from rtdemo.fanout import Fanout
from rtdemo.guard import one_line
from rtdemo.histogram import Histogram
from rtdemo.message import Broadcast, Message
from rtdemo.outbox import Outbox
from rtdemo.plugin_manager import PluginManager
from rtdemo.position import Position
from rtdemo.reasons import Reason
from rtdemo.schedule import Schedule
from rtdemo.selection import Selection
from rtdemo.shared import Shared, check
from rtdemo.traffic import Traffic
from rtdemo.wire import WireFormat

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
        self.shared = Shared(plugins, schedule, engine)
        self._fanout = Fanout(engine.log, engine.lags, self._connections.values, plugins.is_always)
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

    async def open(self) -> None:
        """Follow the log from now on.

        Raises:
            EngineError: when the engine cannot be reached.
        """
        fanout = self._fanout
        self.engine.tell(lambda: {name: self.count(name) for name in TRANSPORTS})
        await self.engine.subscribe(
            Subscriber(fanout.deliver, fanout.checked, fanout.restarted, self.shared.lead)
        )
        fanout.start()

    def names(self, client: Client) -> list[str]:
        """Return what a client may pick: producers, and names under which something is published."""
        return sorted({*self.plugins.names(client), *self.plugins.speakers, *self.published})

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
        feeds.begin(connection, self.plugins.producers_for(client), self.schedule)
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
            check(draft)
        began = perf_counter()
        future = self.engine.publish(drafts, key)
        future.add_done_callback(lambda _: self.publish_latency.record(perf_counter() - began))
        return future

    def select(self, connection: Connection, selection: Selection) -> None:
        """Change what a client receives, without reconnecting."""
        offered = self.plugins.producers_for(connection.client)
        feeds.select(connection, offered, self.schedule, selection)

    def swap(self, plugin: str) -> None:
        """Put a plugin's new producers to work in place of its old ones, on every connection."""
        for connection in list(self._connections.values()):
            offered = self.plugins.producers_for(connection.client)
            feeds.swap(connection, offered, self.schedule, plugin)
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
