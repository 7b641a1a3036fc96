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


class _Counter(NamedTuple):
    """What counts from 1: a producer numbers its shared and its private messages apart.

    Arguments:
        producer: its name.
        is_shared: whether it counts per deployment, and not per connection.
    """

    producer: str
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
    _last: dict[_Counter, int] = field(default_factory=dict, repr=False)
    _gaps: dict[tuple[_Counter, int], None] = field(default_factory=dict, repr=False)
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
            self._check(_Counter(message.producer, is_shared), message.seq)

    def _check_epoch(self, position: str) -> None:
        """Forget the numbers of another log: that of a new one start anew."""
        epoch = position.partition("-")[0]
        if self._epoch and epoch != self._epoch:
            self._forget(is_shared=True)
        self._epoch = epoch

    def _check(self, counter: _Counter, seq: int) -> None:
        last = self._last.get(counter)
        if last is None and len(self._last) >= MAX_PRODUCERS:
            self.unchecked += 1
            return
        if last is None:
            # A shared producer may have sent before this client came.
            last = seq - 1 if counter.is_shared else 0
        if seq <= last:
            self._late_or_repeated(counter, seq)
            return
        self._add_missing(counter, last + 1, seq)
        self._last[counter] = seq

    def _add_missing(self, counter: _Counter, first: int, end: int) -> None:
        self.missing += end - first
        for seq in range(max(first, end - MAX_MISSING), end):
            self._gaps[counter, seq] = None
        while len(self._gaps) > MAX_MISSING:
            del self._gaps[next(iter(self._gaps))]

    def _late_or_repeated(self, counter: _Counter, seq: int) -> None:
        if (counter, seq) in self._gaps:
            del self._gaps[counter, seq]
            self.missing -= 1
            self.late += 1
        else:
            self.repeated += 1

    def _forget(self, is_shared: bool) -> None:
        for counter in [one for one in self._last if one.is_shared is is_shared]:
            del self._last[counter]
