"""Count the shared messages that clients lost or received twice, by their positions in the log.

Only rtdemo's positions, `<epoch>-<offset>`, can be counted. A message counts as lost if another client
received it, or storm published it: a gap alone may be a message for other users.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from rtdemo.protocol.message import DECODE_ERRORS, Position, parse_position

Range = tuple[int, int]
"""Offsets from the first to the last, both included."""
MAX_RANGES = 3000
"""Ranges of offsets that are recorded of one client; a server with more sends no log."""
_ALL = 10**15
"""More than any offset (see `parse_position`)."""


class _Shared(msgspec.Struct):
    """The fields of a message that matter here. Another server may put any value into them."""

    id: object = None
    lost: object = None
    client: object = None


_decode = msgspec.json.Decoder(_Shared).decode


@dataclass(slots=True)
class _LogReceipts:
    """What one client received of one log.

    Attributes:
        excused: largest offset that the client need not have: before it joined, or reported as lost.
        ranges: offsets that it received, ascending, as pairs of the first and the last one.
    """

    excused: int
    ranges: list[list[int]] = field(default_factory=list)


class Delivery:
    """What one client received of the log, over all its connections.

    Attributes:
        position: of the last message; None before the first one.
        repeated: number of messages at or before a position that was already reached.
        notices: number of loss notices.
        unannounced: how many times another log began without a loss notice.
        is_overrun: whether there were more than MAX_RANGES, and nothing is recorded since.
    """

    __slots__ = ("_count", "_logs", "is_overrun", "notices", "position", "repeated", "unannounced")

    def __init__(self) -> None:
        self.position: Position | None = None
        self.repeated = self.notices = self.unannounced = self._count = 0
        self.is_overrun = False
        self._logs: dict[str, _LogReceipts] = {}

    def add(self, payload: bytes) -> None:
        """Record a message if it has a position.

        Arguments:
            payload: its JSON, or anything that another server sends.
        """
        if b'"id"' not in payload or self.is_overrun:
            return
        try:
            message = _decode(payload)
        except DECODE_ERRORS:
            return
        position = parse_position(message.id) if isinstance(message.id, str) else None
        if position is None:
            return
        if message.lost is True:
            self._notified(position)
        elif message.client is not None:
            self._welcomed(position)
        else:
            self._received(position)

    def _welcomed(self, position: Position) -> None:
        if self.position is None:
            self._logs[position.epoch] = _LogReceipts(position.offset)
        elif position.epoch != self.position.epoch:
            self.unannounced += 1
            self._log(position.epoch)
        self.position = position

    def _notified(self, position: Position) -> None:
        self.notices += 1
        if self.position is not None and self.position.epoch != position.epoch:
            self._log(self.position.epoch).excused = _ALL
        self._log(position.epoch).excused = position.offset
        self.position = position

    def _received(self, position: Position) -> None:
        last = self.position
        if last is None:
            # A server without a welcome: nothing before the first message is known.
            self._logs[position.epoch] = _LogReceipts(position.offset - 1)
        elif position.epoch != last.epoch:
            self.unannounced += 1
        elif position.offset <= last.offset:
            self.repeated += 1
            return
        ranges = self._log(position.epoch).ranges
        if ranges and ranges[-1][1] == position.offset - 1:
            ranges[-1][1] = position.offset
        else:
            ranges.append([position.offset, position.offset])
            self._count += 1
            self.is_overrun = self._count >= MAX_RANGES
        self.position = position

    def _log(self, epoch: str) -> _LogReceipts:
        if epoch not in self._logs:
            self._logs[epoch] = _LogReceipts(0)
            self._count += 1
            self.is_overrun = self._count >= MAX_RANGES
        return self._logs[epoch]

    def received(self) -> Iterator[tuple[str, Range]]:
        """Yield what was received, as the epoch of a log and a range of its offsets."""
        for epoch, receipts in self._logs.items():
            for first, last in receipts.ranges:
                yield epoch, (first, last)

    def count_lost(self, known: Messages) -> int:
        """Return the number of messages that this client should have and does not.

        Arguments:
            known: messages that exist.
        """
        lost = 0
        for epoch, receipts in self._logs.items():
            have = [(0, receipts.excused), *((first, last) for first, last in receipts.ranges)]
            lost += _count_outside(known.ranges(epoch), _merged(have))
        return lost


class Messages:
    """Messages that are known to exist, by the epoch of their log.

    Arguments:
        clients: what they received.
        published: positions of messages that storm published.
    """

    def __init__(self, clients: Iterable[Delivery], published: Iterable[Position] = ()) -> None:
        found: dict[str, set[Range]] = {}
        for client in clients:
            for epoch, offsets in client.received():
                found.setdefault(epoch, set()).add(offsets)
        for position in published:
            found.setdefault(position.epoch, set()).add((position.offset, position.offset))
        self._ranges = {epoch: _merged(ranges) for epoch, ranges in found.items()}

    def ranges(self, epoch: str) -> list[Range]:
        """Return the offsets of a log's messages, ascending."""
        return self._ranges.get(epoch, [])

    def end(self, epoch: str) -> int:
        """Return the largest offset of a log; 0 if it has no message."""
        ranges = self.ranges(epoch)
        return ranges[-1][1] if ranges else 0

    def __len__(self) -> int:
        return sum(last - first + 1 for ranges in self._ranges.values() for first, last in ranges)


def _merged(ranges: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _count_outside(wanted: Sequence[Range], have: Sequence[Range]) -> int:
    """Return how many of the wanted offsets the client does not have; both ascend without overlaps."""
    missing = sum(last - first + 1 for first, last in wanted)
    at = 0
    for first, last in wanted:
        while at < len(have):
            start, to = have[at]
            missing -= max(0, min(last, to) - max(first, start) + 1)
            if to > last:
                break
            at += 1
    return missing
