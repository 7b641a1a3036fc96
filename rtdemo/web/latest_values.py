"""The newest value of each producer, for the first paint of the view."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from rtdemo.engine.log import Entry
from rtdemo.errors import printable
from rtdemo.hub.hub import Hub
from rtdemo.plugin_system.producer import Producer
from rtdemo.settings.folders import bundled
from rtdemo.web.identity import Identity

MAX_SHOWN = 200
"""Producers that the view shows; static/view/producers_data.js has the same limit."""
MAX_TEXT_CHARACTERS = 200
"""Characters of a value in the table; the script shows the rest."""
MAX_PAYLOAD_BYTES = 1024
"""Largest message that is in the page itself. A larger one arrives over the connection."""
_OF_SERVER = frozenset({"welcome", "resume", "rtdemo"})
"""Names of messages about the connection."""


class Description(msgspec.Struct, frozen=True):
    """How a producer describes itself; empty or None where it does not.

    Arguments:
        title, unit: texts.
        low, high: usual bounds of its numbers.
        period: seconds between two messages.
    """

    title: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    period: float | None = None


class LatestValue(NamedTuple):
    """One row of the first paint. Its texts have no control characters.

    Arguments:
        name: of the producer, as it is.
        label: its title, or its name.
        text: the value.
        sent_at: milliseconds since the Unix epoch.
        payload: the message as JSON; empty if it is long.
        description: as JSON.
    """

    name: str
    label: str
    text: str
    sent_at: float
    payload: str
    description: str


def built_in(hub: Hub) -> set[str]:
    """Return the names of producers that come with rtdemo: they are for measuring, and no one's data."""
    folder = bundled("plugins")
    names = {each.name for each in hub.plugins.plugins if Path(each.origin).is_relative_to(folder)}
    return names | _OF_SERVER


def private_names(hub: Hub, identity: Identity | None) -> set[str]:
    """Return the names of the private producers that a reader may pick, which are not in the log.

    Arguments:
        hub: has the producers.
        identity: who reads them; None for an administrator, who sees all.
    """
    producers = [each.producer for each in hub.plugins.registry.supervisors if not each.producer.shared]
    return {each.name for each in producers if identity is None or each.admits(identity.user)}


def latest_values(
    hub: Hub, identity: Identity | None, picked: Collection[str] | None, hidden: Collection[str]
) -> tuple[list[LatestValue], int]:
    """Return the newest values, by name, or in the order in which they are picked.

    Arguments:
        hub: has the log.
        identity: who reads them; None for an administrator, who sees all.
        picked: names of producers; None for all but the hidden ones.
        hidden: names of producers, shown only if they are picked.

    Returns:
        The first `MAX_SHOWN` of them, and the number of the others.
    """
    entries = {entry.producer: entry for entry in _visible(hub.engine.log.latest, identity)}
    if picked is None:
        names = sorted(name for name in entries if name not in hidden)
    else:
        names = [name for name in dict.fromkeys(picked) if name in entries]
    descriptions = {
        each.producer.name: _description(each.producer) for each in hub.plugins.registry.supervisors
    }
    shown = names[:MAX_SHOWN]
    values = [_value(entries[name], descriptions.get(name, Description())) for name in shown]
    return values, len(names) - len(shown)


def _visible(entries: Iterable[Entry], identity: Identity | None) -> Iterable[Entry]:
    for entry in entries:
        if entry.users is None or identity is None or identity.user in entry.users:
            yield entry


def _description(producer: Producer) -> Description:
    return Description(producer.title, producer.unit, producer.low, producer.high, producer.every)


def _value(entry: Entry, description: Description) -> LatestValue:
    text = printable(msgspec.json.decode(entry.payload)["message"])
    if len(text) > MAX_TEXT_CHARACTERS:
        text = f"{text[:MAX_TEXT_CHARACTERS]}…"
    payload = entry.payload.decode() if len(entry.payload) <= MAX_PAYLOAD_BYTES else ""
    return LatestValue(
        name=entry.producer,
        label=printable(description.title or entry.producer),
        text=text,
        sent_at=entry.sent_at,
        payload=payload,
        description=msgspec.json.encode(description).decode(),
    )
