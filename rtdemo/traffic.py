"""Count what goes over one transport."""

from __future__ import annotations


class Traffic:
    """Add up messages, bytes and drops of one transport since the start.

    Attributes:
        messages: messages written.
        bytes: bytes of these messages with their framing.
        drops: periodic messages left out because a client's outbox was full.
        received: texts that came from clients.
        too_slow: connections ended because their outbox stayed full.
        resumes: connections that went on behind a place in the log.
        lost: how often a client was told that messages are lost to it.
    """

    __slots__ = ("bytes", "drops", "lost", "messages", "received", "resumes", "too_slow")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.drops = 0
        self.received = 0
        self.too_slow = 0
        self.resumes = 0
        self.lost = 0
