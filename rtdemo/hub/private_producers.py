"""Keep a connection's producers at work as its client picks them and as plugins change."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from rtdemo.hub.connection import Connection
from rtdemo.hub.selection import Selection
from rtdemo.plugin_system.manager import Supervised
from rtdemo.plugin_system.runner import ProducerRunner
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
    for runner in connection.runners[:]:
        if not selection.picks(runner.producer):
            runner.stop()
            connection.runners.remove(runner)
        elif faster:
            runner.set_speed(selection.speed)
    _start(connection, offered, schedule, at_connect=False)


def swap(connection: Connection, offered: Iterable[Supervised], schedule: Schedule, plugin: str) -> None:
    """Stop the producers that a plugin had and start those that it has now."""
    for runner in connection.runners[:]:
        if runner.supervisor.plugin == plugin:
            runner.stop()
            connection.runners.remove(runner)
    _start(connection, offered, schedule, at_connect=False)


def _start(
    connection: Connection, offered: Iterable[Supervised], schedule: Schedule, at_connect: bool
) -> None:
    working = {runner.producer.name for runner in connection.runners}
    for producer, supervisor in offered:
        if producer.name in working or not connection.selection.picks(producer):
            continue
        emit = partial(connection.send, producer.name)
        runner = ProducerRunner(producer, supervisor, connection.client, emit, schedule)
        connection.runners.append(runner)
        runner.start(connection.selection.speed, at_connect)
