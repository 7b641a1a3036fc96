"""The names that messages are published under, as `GET /api/producers` lists them."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from rtdemo.hub.hub import Hub
from rtdemo.hub.statistics import PUBLISHED, ProducerStatistics
from rtdemo.protocol.client import TRANSPORTS

FEW_NAMES = 200
"""Names that are read anew for each request, which takes 1 ms of CPU. Ten thousand take 47 ms."""
MAX_AGE_S = 0.25
"""Seconds for which a list of more names is used again."""


class PublishedName(NamedTuple):
    """One entry of the list.

    Arguments:
        name: the name.
        users: the users that receive its messages; None for everyone.
        json: its entry in the answer.
    """

    name: str
    users: frozenset[str] | None
    json: msgspec.Raw


class PublishedNames:
    """List the names; if they are many, the list may be 250 ms old, so that asking often costs little.

    Arguments:
        hub: has the log.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._list: list[PublishedName] = []
        self._read_at = 0.0

    def __call__(self) -> list[PublishedName]:
        """Return every name; the caller must not change the list."""
        now = self._hub.schedule.clock.time()
        if len(self._list) <= FEW_NAMES or now - self._read_at >= MAX_AGE_S:
            replying = set(self._hub.plugins.replying)
            self._list = [self._entry(name, name in replying) for name in self._hub.published]
            self._read_at = now
        return self._list

    def _entry(self, name: str, is_plugin: bool) -> PublishedName:
        users = self._hub.users_of(name)
        producer = ProducerStatistics(
            name=name,
            plugin=name if is_plugin else "",
            transports=TRANSPORTS,
            shared=True,
            always=False,
            stream=True,
            period=None,
            state=PUBLISHED,
            runs=self._hub.engine.log.seq(name),
        )
        return PublishedName(name, users, msgspec.Raw(msgspec.json.encode(shown(self._hub, producer))))


def shown(hub: Hub, producer: ProducerStatistics) -> dict[str, object]:
    """Return what is shown of a producer: not who else receives it.

    Arguments:
        hub: has the log.
        producer: its statistics.
    """
    entry: dict[str, object] = msgspec.to_builtins(producer)
    del entry["users"]
    newest = hub.engine.log.latest_of(producer.name) if producer.shared else None
    entry["sentAt"] = None if newest is None else newest.sent_at
    return entry
