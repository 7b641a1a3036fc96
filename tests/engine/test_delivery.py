"""New entries are delivered together, and before the log drops one of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rtdemo.engine.delivery import MAX_BYTES, MAX_ENTRIES, Delivery
from rtdemo.engine.interface import Subscriber
from rtdemo.engine.log import Entry, Log, LogLimits, make_entry
from rtdemo.protocol.client import TRANSPORTS
from rtdemo.protocol.message import Message, Position


class Recorder:
    """A log with its delivery, and how many entries came together.

    Attributes:
        counts: of each delivery.
        received: the offsets, in the order in which they came.
    """

    def __init__(self, limits: LogLimits) -> None:
        self.log = Log(limits, lambda: 0.0)
        self.delivery = Delivery(self.log)
        self.counts: list[int] = []
        self.received: list[int] = []
        self.delivery.subscriber = Subscriber(self.deliver, bool, bool, bool)

    def deliver(self, entries: Sequence[Entry]) -> None:
        first = entries[0].position
        assert self.log.holds(Position(first.epoch, first.offset - 1))
        self.counts.append(len(entries))
        self.received += [entry.position.offset for entry in entries]

    def append(self, size: int) -> None:
        position = Position(self.log.last.epoch, self.log.last.offset + 1)
        self.delivery.append(make_entry(Message("x" * size), "a", 1, position, 0.0, TRANSPORTS))


@pytest.mark.parametrize(
    ("limits", "size", "counts"),
    [
        (LogLimits(), 1, [MAX_ENTRIES] * 3 + [8]),
        (LogLimits(count=3), 1, [3] * 66 + [2]),
        (LogLimits(bytes=1024), 200, [3] * 66 + [2]),
        (LogLimits(bytes=1024), 2000, [1] * 200),
        (LogLimits(), MAX_BYTES // 3, [2] * 100),
    ],
)
def test_entries_that_come_together(limits: LogLimits, size: int, counts: list[int]) -> None:
    """As many as one write to a client has; fewer if the log is shorter, and each once and in order."""
    recorder = Recorder(limits)
    for _ in range(200):
        recorder.append(size)
    recorder.delivery.deliver()
    recorder.delivery.deliver()
    assert recorder.counts == counts
    assert recorder.received == list(range(1, 201))
