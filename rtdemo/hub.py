"""Know who is connected; deliver to them, receive from them, and send them away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from rtdemo.client import TRANSPORTS, Client, Transport
from rtdemo.connection import Connection, Outbox
from rtdemo.feed import Feed
from rtdemo.plugin_manager import PluginManager
from rtdemo.reasons import Reason
from rtdemo.schedule import Schedule
from rtdemo.traffic import Traffic
from rtdemo.wire import WireFormat

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Say what a client asked for.

    Arguments:
        producers: the names that it picked; None picks all.
        speed: multiplies the rate of its private producers, 0.1 to 20.
    """

    producers: Collection[str] | None = None
    speed: float = 1.0


class Hub:
    """Keep the open connections and put their producers to work.

    Arguments:
        plugins: the loaded plugins.
        schedule: where the producers' ticks stand.

    Attributes:
        traffic: counters by transport.
        draining: whether it is sending everyone away and takes nobody new.
    """

    def __init__(self, plugins: PluginManager, schedule: Schedule) -> None:
        self.plugins = plugins
        self.schedule = schedule
        self.traffic: dict[Transport, Traffic] = {name: Traffic() for name in TRANSPORTS}
        self.draining = False
        self._connections: dict[str, Connection] = {}
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._connections)

    def count(self, transport: Transport) -> int:
        """Return how many connections of a transport are open."""
        return sum(c.client.transport == transport for c in self._connections.values())

    def find(self, client_id: str) -> Connection | None:
        """Return the connection of a client, by its secret id."""
        return self._connections.get(client_id)

    def join(self, connection: Connection, selection: Selection) -> None:
        """Take a connection in and start its producers; what runs at connect is sent at once."""
        client = connection.client
        self._connections[client.id] = connection
        log.info("%s connected from %s", client, client.remote, extra=_facts(client))
        self.plugins.connected(client)
        for producer, supervisor in self.plugins.producers_for(client):
            picked = selection.producers is None or producer.name in selection.producers
            if not (picked or producer.always):
                continue
            feed = Feed(producer, supervisor, client, partial(connection.send, producer.name))
            connection.feeds.append(feed)
            feed.start(self.schedule, selection.speed)

    def leave(self, connection: Connection, reason: Reason) -> None:
        """Let a connection go and stop its producers; one that ended keeps its own reason."""
        client = connection.client
        if self._connections.pop(client.id, None) is None:
            return
        connection.closed(reason)
        reason = connection.reason or reason
        seconds = self.schedule.clock.time() - connection.opened_at
        log.info(
            "%s disconnected: %s after %.1f s and %d messages",
            client,
            reason,
            seconds,
            connection.sent,
            extra=_facts(client) | {"reason": reason.text, "code": reason.code, "seconds": seconds},
        )
        self.plugins.disconnected(client, reason)
        if not self._connections:
            self._empty.set()

    async def receive(self, connection: Connection, text: str) -> None:
        """Take a client's text and send it every plugin's reply."""
        client = connection.client
        self.traffic[client.transport].received += 1
        log.debug("%s says %r", client, text)
        await self.plugins.receive(client, text, partial(connection.send, periodic=False))

    async def drain(self, grace: float) -> None:
        """End every connection as going away and wait until all have left.

        Arguments:
            grace: seconds to wait; whoever is left then is the transport's to cut.
        """
        self.draining = True
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
