"""Keep a connection's producers at work as its client picks them and as plugins change."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from rtdemo.hub.connection import Connection
from rtdemo.hub.selection import Selection
from rtdemo.plugin_system.manager import Supervised
from rtdemo.plugin_system.runner import Feed
from rtdemo.timing.schedule import Schedule


def begin(connection: Connection, offered: Iterable[Supervised], schedule: Schedule) -> None:
    """Start what the client picked; what runs at connect runs now."""
    _start(connection, offered, schedule, at_connect=True)


def select(
    connection: Connection, offered: Iterable[Supervised], schedule: Schedule, selection: Selection
) -> None:
    """Change what a client receives and how fast; what it keeps goes on without a break."""
    faster = selection.speed != connection.selection.speed
    connection.selection = selection
    for feed in connection.feeds[:]:
        if not selection.picks(feed.producer):
            feed.stop()
            connection.feeds.remove(feed)
        elif faster:
            feed.retime(selection.speed)
    _start(connection, offered, schedule, at_connect=False)


def swap(connection: Connection, offered: Iterable[Supervised], schedule: Schedule, plugin: str) -> None:
    """Stop the producers that a plugin had and start those that it has now."""
    for feed in connection.feeds[:]:
        if feed.supervisor.plugin == plugin:
            feed.stop()
            connection.feeds.remove(feed)
    _start(connection, offered, schedule, at_connect=False)


def _start(
    connection: Connection, offered: Iterable[Supervised], schedule: Schedule, at_connect: bool
) -> None:
    working = {feed.producer.name for feed in connection.feeds}
    for producer, supervisor in offered:
        if producer.name in working or not connection.selection.picks(producer):
            continue
        emit = partial(connection.send, producer.name)
        feed = Feed(producer, supervisor, connection.client, emit, schedule)
        connection.feeds.append(feed)
        feed.start(connection.selection.speed, at_connect)
