"""Run a connection's private producers, as its client picks them and as plugins change."""

from __future__ import annotations

from collections.abc import Iterable

from rtdemo.hub.connection import Connection, PrivateRunner
from rtdemo.plugin_system.manager import Supervised
from rtdemo.timing.schedule import Schedule


def start(connection: Connection, offered: Iterable[Supervised], schedule: Schedule) -> None:
    """Start the producers that a new client picked; those that run at connect run now.

    Arguments:
        offered: each private producer for this client, with its supervisor.
        schedule: runs the producers' ticks.
    """
    _start_missing(connection, offered, schedule, at_connect=True)


def select(
    connection: Connection, offered: Iterable[Supervised], schedule: Schedule, has_new_speed: bool
) -> None:
    """Follow a connection's new selection; producers that its client keeps run on without a break.

    Arguments:
        offered: each private producer for this client, with its supervisor.
        schedule: runs the producers' ticks.
        has_new_speed: whether the speed is another one than before.
    """
    selection = connection.selection
    for runner in connection.runners[:]:
        if not selection.picks(runner.producer):
            connection.remove_runner(runner)
        elif has_new_speed:
            runner.set_speed(selection.speed)
    _start_missing(connection, offered, schedule, at_connect=False)


def swap(connection: Connection, offered: Iterable[Supervised], schedule: Schedule, plugin: str) -> None:
    """Stop the producers that a plugin had, and start those that it has now.

    Arguments:
        offered: each private producer for this client, with its supervisor.
        schedule: runs the producers' ticks.
        plugin: name of the plugin that was loaded again or removed.
    """
    for runner in connection.runners[:]:
        if runner.supervisor.plugin == plugin:
            connection.remove_runner(runner)
    _start_missing(connection, offered, schedule, at_connect=False)


def _start_missing(
    connection: Connection, offered: Iterable[Supervised], schedule: Schedule, at_connect: bool
) -> None:
    running = [runner.name for runner in connection.runners]
    selection = connection.selection
    for producer, supervisor in offered:
        if producer.name in running or not selection.picks(producer):
            continue
        runner = PrivateRunner(producer, supervisor, connection, schedule)
        connection.add_runner(runner)
        runner.start(selection.speed, at_connect)
