"""Count what goes over one transport."""

from __future__ import annotations

import msgspec


class Traffic(msgspec.Struct):
    """Add up messages, bytes and drops of one transport since the start.

    Arguments:
        messages: messages written.
        bytes: bytes of these messages with their framing.
        drops: periodic messages left out because a client's outbox was full.
        received: texts that came from clients.
        too_slow: connections ended because their outbox stayed full.
        resumes: connections that went on behind a place in the log.
        lost: how often a client was told that messages are lost to it.
    """

    messages: int = 0
    bytes: int = 0
    drops: int = 0
    received: int = 0
    too_slow: int = 0
    resumes: int = 0
    lost: int = 0

    def add(self, other: Traffic) -> None:
        """Count what another one has counted, too."""
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COUNTERS = Traffic.__struct_fields__
