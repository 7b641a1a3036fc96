"""The ledger: which messages were received, repeated, late or lost, by each producer's numbers.

The page's client/ledger.js counts in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from rtdemo.client.message import Message

MAX_PRODUCERS = 1_000
"""Producers whose numbers are checked; messages of further ones are counted as not checked."""
MAX_MISSING = 1_000
"""Missing numbers that are remembered; of more, the oldest are forgotten and stay missing."""


class _Last(NamedTuple):
    """The last number of a producer.

    Arguments:
        seq: the number.
        is_shared: whether it counts per deployment, and not per connection.
    """

    seq: int
    is_shared: bool


@dataclass(slots=True)
class Ledger:
    """Count what arrived, and what did not.

    Attributes:
        received: messages that the program gets, without the welcomes.
        missing: messages that the numbers show to be missing: the server dropped them, as this client
            read too slowly, or they were lost on the way.
        repeated: messages that had arrived before.
        late: messages that arrived after a later one; they are no longer missing.
        lost: how often the server reported that messages are lost to this client.
        unreadable: texts that are not messages of rtdemo.
        unchecked: messages of producers beyond the first thousand.
    """

    received: int = 0
    missing: int = 0
    repeated: int = 0
    late: int = 0
    lost: int = 0
    unreadable: int = 0
    unchecked: int = 0
    _last: dict[str, _Last] = field(default_factory=dict, repr=False)
    _gaps: dict[tuple[str, int], None] = field(default_factory=dict, repr=False)
    _epoch: str = field(default="", repr=False)

    def opened(self) -> None:
        """Begin a connection: the numbers of private producers start again at 1."""
        self._forget(is_shared=False)

    def rewound(self) -> None:
        """Begin the past again: what had arrived before is not repeated."""
        self._forget(is_shared=True)

    def enter(self, message: Message, is_known: bool = False) -> None:
        """Count a message.

        Arguments:
            message: that arrived.
            is_known: whether the program has it; then only its number counts.
        """
        if message.client is None and not message.lost and not is_known:
            self.received += 1
        if not message.is_readable:
            self.unreadable += 1
        if message.lost:
            self.lost += 1
            self._forget(is_shared=True)
        # The position in a welcome or in a report of loss is the client's, not that of a message.
        is_shared = message.id is not None and message.client is None and not message.lost
        if is_shared:
            self._check_epoch(message.id or "")
        if message.seq:
            self._check(message.producer, message.seq, is_shared)

    def _check_epoch(self, position: str) -> None:
        """Forget the numbers of another log: that of a new one start anew."""
        epoch = position.partition("-")[0]
        if self._epoch and epoch != self._epoch:
            self._forget(is_shared=True)
        self._epoch = epoch

    def _check(self, producer: str, seq: int, is_shared: bool) -> None:
        known = self._last.get(producer)
        if known is None and len(self._last) >= MAX_PRODUCERS:
            self.unchecked += 1
            return
        # A shared producer may have sent before this client came.
        last = known.seq if known is not None else seq - 1 if is_shared else 0
        if seq <= last:
            self._late_or_repeated(producer, seq)
            return
        self._add_missing(producer, last + 1, seq)
        self._last[producer] = _Last(seq, is_shared)

    def _add_missing(self, producer: str, first: int, end: int) -> None:
        self.missing += end - first
        for seq in range(max(first, end - MAX_MISSING), end):
            self._gaps[producer, seq] = None
        while len(self._gaps) > MAX_MISSING:
            del self._gaps[next(iter(self._gaps))]

    def _late_or_repeated(self, producer: str, seq: int) -> None:
        if (producer, seq) in self._gaps:
            del self._gaps[producer, seq]
            self.missing -= 1
            self.late += 1
        else:
            self.repeated += 1

    def _forget(self, is_shared: bool) -> None:
        forgotten = [name for name, last in self._last.items() if last.is_shared is is_shared]
        for name in forgotten:
            del self._last[name]
