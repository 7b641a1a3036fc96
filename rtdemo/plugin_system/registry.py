"""List every producer of the deployment, each with the one account that is kept of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rtdemo.plugin_system.producer import Producer
from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.protocol.client import Transport

log = logging.getLogger(__name__)

MAX_PRODUCERS = 1000
"""Bound of the list; a `producers` hook that invents names meets it."""


class ProducerRegistry:
    """Keep producers' names unique on each transport.

    Arguments:
        time: seconds on a monotonic clock, for the producers' back-off.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._entries: dict[tuple[str, Transport], Supervisor] = {}
        self._declared: set[Supervisor] = set()
        self._told: set[tuple[str, str]] = set()

    def declare(self, plugin: str, producer: Producer) -> Supervisor | None:
        """Enter a producer of a plugin's module; None, and told, where its name is taken."""
        owner = self._owner(producer)
        if owner is not None:
            self._tell_taken(plugin, producer, owner)
            return None
        account = self._enter(plugin, producer)
        if account is not None:
            self._declared.add(account)
        return account

    def meet(self, plugin: str, producer: Producer) -> Supervisor | None:
        """Enter what a `producers` hook gave; made anew at each connect, it keeps its account."""
        owner = self._owner(producer)
        if owner is None:
            return self._enter(plugin, producer)
        if owner.plugin == plugin and owner not in self._declared:
            return owner
        self._tell_taken(plugin, producer, owner)
        return None

    def forget(self, plugin: str) -> None:
        """Drop a plugin's producers and accounts, so that its next ones start afresh."""
        gone = {account for account in self._entries.values() if account.plugin == plugin}
        self._entries = {key: kept for key, kept in self._entries.items() if kept not in gone}
        self._declared -= gone
        self._told = {told for told in self._told if told[0] != plugin}
        for account in gone:
            account.close()

    def find(self, name: str) -> list[Supervisor]:
        """Return the supervisors of a name: one, or one for each transport."""
        return [supervisor for supervisor in self.supervisors if supervisor.producer.name == name]

    @property
    def supervisors(self) -> list[Supervisor]:
        """One supervisor a producer, in the order in which they were registered."""
        return list(dict.fromkeys(self._entries.values()))

    def _owner(self, producer: Producer) -> Supervisor | None:
        keys = ((producer.name, transport) for transport in producer.transports)
        return next((self._entries[key] for key in keys if key in self._entries), None)

    def _enter(self, plugin: str, producer: Producer) -> Supervisor | None:
        if len(self._entries) >= MAX_PRODUCERS * 2:
            self._tell_once(
                plugin, "", f"more than {MAX_PRODUCERS} producers; further ones are left out"
            )
            return None
        account = Supervisor(plugin, producer, self._time)
        for transport in producer.transports:
            self._entries[producer.name, transport] = account
        return account

    def _tell_taken(self, plugin: str, producer: Producer, owner: Supervisor) -> None:
        sentence = (
            f"producer {producer.name!r} is left out: plugin {owner.plugin!r} has one of that name"
        )
        self._tell_once(plugin, producer.name, sentence + "; rename one")

    def _tell_once(self, plugin: str, name: str, sentence: str) -> None:
        if (plugin, name) not in self._told:
            self._told.add((plugin, name))
            log.warning("plugin %r: %s", plugin, sentence)
