"""Log entries as bytes, encoded once for all connections that get the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from rtdemo.engine.log import Entry
from rtdemo.protocol.client import Transport
from rtdemo.protocol.wire import WireFormat

CACHED_AUDIENCES = 16
"""Audiences for which a batch caches the bytes; for further ones it joins them at each call."""


Rights = frozenset[frozenset[str]]
NO_RIGHTS: Rights = frozenset()
"""Rights of a client that receives only what is for everyone."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Audience:
    """Describe connections that get the same bytes; made by `audience`, and compared by identity.

    Arguments:
        transport: the transport of these connections; an entry is sent only on its own transports.
        wire_format: makes bytes from an entry's JSON.
        producers: names that the clients picked; None for all.
        rights: the sets of users that contain the client's user, among those that entries are
            restricted to. Users with the same rights get the same bytes.
    """

    transport: Transport
    wire_format: WireFormat
    producers: frozenset[str] | None
    rights: Rights

    def gets(self, entry: Entry, always: bool) -> bool:
        """Return whether an entry is for these connections.

        Arguments:
            entry: an entry of the log.
            always: whether it is also for clients that did not pick its producer.
        """
        return (
            self.transport in entry.transports
            and (self.producers is None or always or entry.producer in self.producers)
            and (entry.users is None or entry.users in self.rights)
        )


# Only those in use: a client may pick 100 long names, which take 140 kB, and leave.
_audiences: WeakValueDictionary[
    tuple[Transport, WireFormat, frozenset[str] | None, Rights], Audience
] = WeakValueDictionary()


def audience(
    transport: Transport,
    wire_format: WireFormat,
    producers: frozenset[str] | None,
    rights: Rights = NO_RIGHTS,
) -> Audience:
    """Return the audience of a connection: the same object for all that get the same bytes."""
    key = transport, wire_format, producers, rights
    found = _audiences.get(key)
    if found is None:
        found = _audiences[key] = Audience(*key)
    return found


class Batch:
    """Hold consecutive log entries on their way to the connections.

    Arguments:
        entries: each entry, and whether it is also sent to clients that did not pick its producer.

    Attributes:
        last: offset of the last entry.
    """

    __slots__ = ("_encoded", "_entries", "_parts", "last")

    def __init__(self, entries: Sequence[tuple[Entry, bool]]) -> None:
        self.last = entries[-1][0].position.offset
        self._entries = entries
        self._encoded: dict[WireFormat, list[bytes]] = {}
        self._parts: dict[Audience, tuple[bytes, int]] = {}

    def part(self, audience: Audience) -> tuple[bytes, int]:
        """Return the bytes for an audience, and how many messages they are."""
        try:
            return self._parts[audience]
        except KeyError:
            part = self._join(audience)
            # A client may pick names that no other client picks: the cache must not grow with them.
            if len(self._parts) < CACHED_AUDIENCES:
                self._parts[audience] = part
            return part

    def truncated_part(self, audience: Audience) -> tuple[bytes, int]:
        """Return the same as `part`, with a first message that says that the past before it is gone."""
        data, messages = self.part(audience)
        first = next((entry for entry, always in self._entries if audience.gets(entry, always)), None)
        if first is None:
            return data, messages
        position, wire_format = str(first.position), audience.wire_format
        rest = data.removeprefix(wire_format(first.payload, position))
        return wire_format(with_field(first.payload, b'"truncated":true'), position) + rest, messages

    def _join(self, audience: Audience) -> tuple[bytes, int]:
        chosen = [
            encoded
            for encoded, (entry, always) in zip(
                self._encode(audience.wire_format), self._entries, strict=True
            )
            if audience.gets(entry, always)
        ]
        return b"".join(chosen), len(chosen)

    def _encode(self, wire_format: WireFormat) -> list[bytes]:
        if wire_format not in self._encoded:
            self._encoded[wire_format] = [
                wire_format(entry.payload, str(entry.position)) for entry, _ in self._entries
            ]
        return self._encoded[wire_format]


def with_field(payload: bytes, field: bytes) -> bytes:
    """Return the JSON of a message with one more field at its end.

    Arguments:
        payload: the JSON of a message.
        field: name and value, such as `"truncated":true`.
    """
    return payload[:-1] + b"," + field + b"}"


def at_position(entry: Entry, position: str) -> bytes:
    """Return the JSON of an entry with another position as its `id`.

    Only the first one is replaced: in the text before it quotes are escaped, and the value is last.
    """
    own = b'"id":"%b"' % str(entry.position).encode()
    return entry.payload.replace(own, b'"id":"%b"' % position.encode(), 1)
