"""Run shared producers once for everyone, and encode what they say once for each wire format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache, partial

from rtdemo import message as messages
from rtdemo.connection import Connection
from rtdemo.feed import Feed
from rtdemo.message import Message
from rtdemo.plugin_manager import PluginManager
from rtdemo.producers import Producer
from rtdemo.schedule import Schedule
from rtdemo.wire import WireFormat


class Shared:
    """Keep the shared producers of this process at work.

    Arguments:
        plugins: whose producers run.
        schedule: where their ticks stand.
        connections: gives those that are open.
    """

    def __init__(
        self,
        plugins: PluginManager,
        schedule: Schedule,
        connections: Callable[[], Iterable[Connection]],
    ) -> None:
        self._plugins = plugins
        self._schedule = schedule
        self._connections = connections
        self._feeds: list[Feed] = []
        self._seq: Counter[str] = Counter()

    def start(self) -> None:
        """Start every shared producer that does not run yet."""
        working = {feed.producer for feed in self._feeds}
        for producer, supervisor in self._plugins.shared:
            if producer not in working:
                emit = partial(self.publish, producer)
                feed = Feed(producer, supervisor, None, emit, self._schedule)
                self._feeds.append(feed)
                feed.start(speed=1.0)

    def swap(self, plugin: str) -> None:
        """Stop the shared producers that a plugin had and start those that it has now."""
        for feed in self._feeds[:]:
            if feed.supervisor.plugin == plugin:
                feed.stop()
                self._feeds.remove(feed)
        self.start()

    def stop(self) -> None:
        """Stop them all."""
        for feed in self._feeds:
            feed.stop()
        self._feeds.clear()

    def publish(self, producer: Producer, content: str | Message) -> None:
        """Send one message to every connection that picked the producer."""
        message = content if isinstance(content, Message) else Message(content)
        seq = self._seq[producer.name] + 1
        payload = messages.encode(message.sent(messages.now(), producer.name, seq))
        self._seq[producer.name] = seq

        @cache
        def encode(wire_format: WireFormat) -> bytes:
            return wire_format(payload)

        for connection in list(self._connections()):
            if connection.client.transport in producer.transports and connection.selection.picks(
                producer
            ):
                connection.forward(encode)
