"""Run shared producers while this server leads, and publish what they say."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from rtdemo import message as messages
from rtdemo.engine.interface import Draft, Engine
from rtdemo.feed import Feed
from rtdemo.message import Message
from rtdemo.plugin_manager import PluginManager
from rtdemo.position import Position
from rtdemo.producers import Producer, Series
from rtdemo.schedule import Schedule
from rtdemo.supervisor import Supervisor

log = logging.getLogger(__name__)

MAX_MESSAGE = 64 * 1024
"""Bytes of a shared message's JSON: with a few of them the outbox of every client would be full."""


class Shared:
    """Keep the shared producers at work where this server leads.

    Arguments:
        plugins: whose producers run.
        schedule: where their ticks stand.
        engine: takes what they say.

    Attributes:
        leading: whether they run here.
        unpublished: messages that the engine did not take.
    """

    def __init__(self, plugins: PluginManager, schedule: Schedule, engine: Engine) -> None:
        self._plugins = plugins
        self._schedule = schedule
        self._engine = engine
        self._feeds: list[Feed] = []
        self.leading = False
        self.unpublished = 0

    def lead(self, leading: bool) -> None:
        """Start every shared producer where this server leads, else stop them."""
        self.leading = leading
        if leading:
            self.start()
        else:
            self.stop()

    def start(self) -> None:
        """Start every shared producer that does not run yet, if this server leads.

        One that ran before, here or on another server, keeps its rhythm.
        """
        working = {feed.producer for feed in self._feeds}
        for producer, supervisor in self._plugins.shared if self.leading else ():
            if producer not in working:
                feed = self._feed(producer, supervisor)
                self._feeds.append(feed)
                feed.start(speed=1.0, first=self._first(producer))

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

    def _feed(self, producer: Producer, supervisor: Supervisor) -> Feed:
        series = Series(self._engine.log.seq(producer.name) + 1)
        emit = partial(self._publish, producer, series)
        return Feed(producer, supervisor, series, emit, self._schedule)

    def _first(self, producer: Producer) -> float | None:
        before = self._engine.log.sent_at(producer.name)
        if producer.every is None or not before:
            return None
        return min(max(0.0, producer.every - (messages.now() - before) / 1000), producer.every)

    def _publish(self, producer: Producer, series: Series, content: str | Message) -> None:
        message = content if isinstance(content, Message) else Message(content)
        check(message)
        future = self._engine.publish(
            [Draft(message, producer.name, tuple(producer.transports))], leading=True
        )
        # Where it fails, this number is not the next one's, and that the log knows.
        series.next = max(series.next, self._engine.log.seq(producer.name)) + 1
        future.add_done_callback(partial(self._published, producer, series))

    def _published(
        self, producer: Producer, series: Series, future: asyncio.Future[list[Position]]
    ) -> None:
        if future.cancelled() or (error := future.exception()) is not None:
            self.unpublished += 1
            series.next = self._engine.log.seq(producer.name) + 1
            if not future.cancelled():
                log.debug("shared producer %r: not published: %r", producer.name, error)


def check(message: Message) -> None:
    """Refuse a message that the log cannot take.

    Raises:
        ValueError: when its JSON is over 64 KiB, or it has a lone surrogate (UnicodeEncodeError).
    """
    size = len(messages.encode(message))
    if size > MAX_MESSAGE:
        raise ValueError(f"a shared message of {size} bytes; at most {MAX_MESSAGE} are taken")
