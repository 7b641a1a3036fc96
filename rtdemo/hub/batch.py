"""Make the bytes of the log's news once for each kind of connection, whatever the number of clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rtdemo.engine.log import Entry
from rtdemo.protocol.client import Transport
from rtdemo.protocol.wire import WireFormat

AUDIENCES = 16
"""Kinds of connections whose bytes are kept with the news; more are put together for each connection."""


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """Say which bytes of the news a connection gets; made by `audience`, and compared by identity.

    Arguments:
        transport: on which entries are sent, or are not.
        wire_format: makes bytes from an entry's JSON.
        producers: those that the client picked; None picks all.
    """

    transport: Transport
    wire_format: WireFormat
    producers: frozenset[str] | None


@lru_cache(4096)
def audience(
    transport: Transport, wire_format: WireFormat, producers: frozenset[str] | None
) -> Audience:
    """Return the audience of a connection, the same object for all that get the same bytes."""
    return Audience(transport, wire_format, producers)


class Batch:
    """Hold entries that follow each other in the log, on their way to the connections.

    Arguments:
        entries: each with whether it goes also to who did not pick its producer.

    Attributes:
        last: the offset of the last entry.
    """

    __slots__ = ("_encoded", "_entries", "_parts", "last")

    def __init__(self, entries: Sequence[tuple[Entry, bool]]) -> None:
        self.last = entries[-1][0].position.offset
        self._entries = entries
        self._encoded: dict[WireFormat, list[bytes]] = {}
        self._parts: dict[Audience, tuple[bytes, int]] = {}

    def part(self, audience: Audience) -> tuple[bytes, int]:
        """Return the bytes for an audience and how many messages they are, made once for many."""
        try:
            return self._parts[audience]
        except KeyError:
            part = self._make(audience)
            # Anybody may pick names that nobody else picks; what each gets is not kept for all.
            if len(self._parts) < AUDIENCES:
                self._parts[audience] = part
            return part

    def _make(self, audience: Audience) -> tuple[bytes, int]:
        picked, transport = audience.producers, audience.transport
        wanted = [
            encoded
            for encoded, (entry, always) in zip(
                self._in(audience.wire_format), self._entries, strict=True
            )
            if transport in entry.transports and (picked is None or always or entry.producer in picked)
        ]
        return b"".join(wanted), len(wanted)

    def _in(self, wire_format: WireFormat) -> list[bytes]:
        if wire_format not in self._encoded:
            self._encoded[wire_format] = [
                wire_format(entry.payload, str(entry.position)) for entry, _ in self._entries
            ]
        return self._encoded[wire_format]
