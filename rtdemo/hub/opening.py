"""What a new connection still gets before the log: the newest message of each producer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtdemo.engine.log import Entry
from rtdemo.hub.batch import at_position
from rtdemo.hub.connection import Connection
from rtdemo.hub.past import Past

PART_BYTES = 64 * 1024
"""Bytes of JSON that are sent at once; a part of one message may be larger."""


@dataclass(slots=True)
class Opening:
    """Hold what a new connection gets before the log, and how its past begins.

    Arguments:
        latest: the newest entries of producers that the client picked, the oldest first, that are not
            sent yet.
        is_truncated: whether the log no longer has the whole past that the client asked for. The first
            message of the past says so.
        past: what the client asked for.
    """

    latest: deque[Entry]
    is_truncated: bool
    past: Past
    _taken: int = 0

    def part(self, connection: Connection, always: Callable[[str], bool]) -> tuple[bytes, int]:
        """Return the next messages as bytes, and their number; `advance` drops them once they are sent.

        Their `id` is the client's position: with their own, a client that reconnects would get again
        what came after them. It also tells which of them the client has, so that it gets the others.

        Arguments:
            connection: whose opening this is.
            always: returns whether a producer's messages are also for clients that did not pick it.
        """
        audience = connection.audience
        parts: list[bytes] = []
        size = self._taken = 0
        for entry in self.latest:
            if parts and size + len(entry.payload) > PART_BYTES:
                break
            self._taken += 1
            if audience.gets(entry, always(entry.producer)):
                # With the last one it has all, also if it picks other producers when it connects again.
                is_last = entry is self.latest[-1]
                position = connection.place(connection.offset if is_last else entry.position.offset)
                parts.append(audience.wire_format(at_position(entry, position), position))
                size += len(entry.payload)
        return b"".join(parts), len(parts)

    def truncate(self, gone: Sequence[Entry]) -> None:
        """Begin the past later: the log has dropped its first messages before they were sent.

        Arguments:
            gone: the newest entries of producers among these, the oldest first.
        """
        self.is_truncated = True
        names = {entry.producer for entry in gone}
        self.latest = deque(entry for entry in self.latest if entry.producer not in names)
        self.latest.extend(gone)

    def advance(self, messages: int) -> bool:
        """Note that a part was sent; return whether it was the first one of the log, which ends this.

        Arguments:
            messages: how many messages it had.
        """
        if not self._taken:
            return messages > 0
        for _ in range(self._taken):
            self.latest.popleft()
        self._taken = 0
        return False
