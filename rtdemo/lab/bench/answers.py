"""Say what a process that measures answers."""

from __future__ import annotations

import msgspec

from rtdemo.lab.bench.figures import Figures
from rtdemo.lab.bench.latencies import Latencies

MAX_LINE = 1 << 20
"""Bytes of a line that such a process reads."""


class Ready(msgspec.Struct, rename="camel"):
    """Tell how connecting went.

    Arguments:
        steps: of connecting: tcp, tls, answer, welcome, total.
        opened: how many are.
        problem: of one that did not open.
        client: the id of one; empty where the server tells none.
    """

    steps: dict[str, Latencies]
    opened: int
    problem: str = ""
    client: str = ""


class Cost(msgspec.Struct, rename="camel"):
    """Tell what measuring took in the window.

    Arguments:
        cpu: seconds.
        share: of one core.
        lag: how late the loop was.
    """

    cpu: float
    share: float
    lag: Latencies


class Received(msgspec.Struct, rename="camel"):
    """Count what came between two instants; a loop that is late is late for all three alike.

    Arguments:
        bytes: with framing, before TLS.
        payload_bytes: of the messages' JSON.
    """

    messages: int = 0
    bytes: int = 0
    payload_bytes: int = 0

    def since(self, earlier: Received) -> Received:
        """Return what came in between."""
        return Received(
            self.messages - earlier.messages,
            self.bytes - earlier.bytes,
            self.payload_bytes - earlier.payload_bytes,
        )

    def add(self, other: Received) -> None:
        """Count what came elsewhere, too."""
        self.messages += other.messages
        self.bytes += other.bytes
        self.payload_bytes += other.payload_bytes


class Outcome(msgspec.Struct, rename="camel"):
    """Tell what a process measured.

    Arguments:
        seconds: that the window took.
        ended: how many connections ended on the way, by reason.
        unread: payloads without `sentAt`.
        left_out: messages over the bound.
    """

    seconds: float
    figures: Figures
    cost: Cost
    received: Received
    ended: dict[str, int]
    unread: int
    left_out: int
