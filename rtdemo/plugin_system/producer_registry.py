"""The list of all producers, with one supervisor each."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rtdemo.plugin_system.producer import Producer
from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.protocol.client import TRANSPORTS, Transport

log = logging.getLogger(__name__)

MAX_PRODUCERS = 1000
"""Most producers in the list; it bounds a `producers` hook that returns ever new names."""


class ProducerRegistry:
    """Register producers under a name that is unique on each transport.

    Arguments:
        time: returns seconds on a monotonic clock, for the producers' back-off.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._entries: dict[tuple[str, Transport], Supervisor] = {}
        self._declared: set[Supervisor] = set()
        self._logged: set[tuple[str, str]] = set()

    def register(self, plugin: str, producer: Producer) -> Supervisor | None:
        """Register a producer of a plugin's module, or a shared one.

        Returns:
            Its supervisor; None, with a warning in the log, if its name is taken.
        """
        owner = self._owner(producer)
        if owner is not None:
            self._log_taken(plugin, producer, owner)
            return None
        supervisor = self._add(plugin, producer)
        if supervisor is not None:
            self._declared.add(supervisor)
        return supervisor

    def find_or_register(self, plugin: str, producer: Producer) -> Supervisor | None:
        """Register a producer of a `producers` hook, which returns a new object at each connect.

        Returns:
            The supervisor of this name, which stays the same; None, with a warning in the log, if the
            name belongs to another producer.
        """
        owner = self._owner(producer)
        if owner is None:
            return self._add(plugin, producer)
        if owner.plugin == plugin and owner not in self._declared:
            return owner
        self._log_taken(plugin, producer, owner)
        return None

    def forget(self, plugin: str) -> None:
        """Remove a plugin's producers and their counts."""
        removed = {supervisor for supervisor in self._entries.values() if supervisor.plugin == plugin}
        self._entries = {key: entry for key, entry in self._entries.items() if entry not in removed}
        self._declared -= removed
        self._logged = {key for key in self._logged if key[0] != plugin}
        for supervisor in removed:
            supervisor.close()

    def find(self, name: str) -> list[Supervisor]:
        """Return the supervisors of a producer name: one, one for each transport, or none."""
        return [supervisor for supervisor in self.supervisors if supervisor.producer.name == name]

    def is_private(self, name: str) -> bool:
        """Return whether a private producer has a name, on any transport."""
        # Asked for each message that is published: it looks up, and does not search.
        for transport in TRANSPORTS:
            supervisor = self._entries.get((name, transport))
            if supervisor is not None and not supervisor.producer.shared:
                return True
        return False

    @property
    def supervisors(self) -> list[Supervisor]:
        """The supervisor of each producer, in the order of registration."""
        return list(dict.fromkeys(self._entries.values()))

    def _owner(self, producer: Producer) -> Supervisor | None:
        keys = ((producer.name, transport) for transport in producer.transports)
        return next((self._entries[key] for key in keys if key in self._entries), None)

    def _add(self, plugin: str, producer: Producer) -> Supervisor | None:
        if len(self._entries) >= MAX_PRODUCERS * 2:
            self._log_once(plugin, "", f"over {MAX_PRODUCERS} producers; further ones are left out")
            return None
        supervisor = Supervisor(plugin, producer, self._time)
        for transport in producer.transports:
            self._entries[producer.name, transport] = supervisor
        return supervisor

    def _log_taken(self, plugin: str, producer: Producer, owner: Supervisor) -> None:
        name = producer.name
        problem = f"producer {name!r} is left out: plugin {owner.plugin!r} has a producer of this name"
        self._log_once(plugin, name, f"{problem}; rename one")

    def _log_once(self, plugin: str, name: str, problem: str) -> None:
        if (plugin, name) not in self._logged:
            self._logged.add((plugin, name))
            log.warning("plugin %r: %s", plugin, problem)
