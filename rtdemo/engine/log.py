"""Hold the newest shared messages, bounded by count, bytes and age."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from rtdemo.protocol import message as messages
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.protocol.message import Message, Position, new_epoch

FOLLOWED = 10_000
"""Producers whose numbering is remembered."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one shared message as it stands in the log.

    Arguments:
        position: its place.
        producer: whose it is.
        seq: counts that producer's messages in the deployment, from 1.
        sent_at: milliseconds since the epoch at which it entered the log.
        payload: its JSON, the same on both transports.
        transports: where its producer sends.
    """

    position: Position
    producer: str
    seq: int
    sent_at: float
    payload: bytes
    transports: tuple[Transport, ...] = TRANSPORTS


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Bound the log: `count` messages, `bytes` of JSON, `seconds` of age."""

    count: int = 10_000
    bytes: int = 16 * 1024 * 1024
    seconds: float = 3600.0


def entry(
    message: Message,
    producer: str,
    seq: int,
    position: Position,
    at: float,
    transports: tuple[Transport, ...],
) -> Entry:
    """Return a message as it stands in the log, stamped and numbered."""
    payload = messages.encode(message.logged(at, producer, seq, str(position)))
    return Entry(position, producer, seq, at, payload, transports)


class Log:
    """Keep the newest entries of one epoch in order, without a gap.

    Arguments:
        limits: beyond any of them the oldest go; the newest stays in any case.
        now: milliseconds since the epoch.
        epoch: the name of this log; a new one by default.

    Attributes:
        last: the position of the newest entry, or that before the first.
        newest: the newest entry, also where it is too old to be held; None where none came yet.
        bytes: JSON held.
    """

    def __init__(
        self,
        limits: LogLimits | None = None,
        now: Callable[[], float] = messages.now,
        epoch: str | None = None,
    ) -> None:
        self.limits = limits or LogLimits()
        self.last = Position(epoch or new_epoch(), 0)
        self.newest: Entry | None = None
        self.bytes = 0
        self._now = now
        self._entries: deque[Entry] = deque()
        self._newest: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def producers(self) -> list[str]:
        """The names under which something was published."""
        return list(self._newest)

    def seq(self, producer: str) -> int:
        """Return the number of a producer's newest message, 0 before its first."""
        return self._newest.get(producer, (0, 0.0))[0]

    def sent_at(self, producer: str) -> float:
        """Return when a producer's newest message was sent, 0 before its first."""
        return self._newest.get(producer, (0, 0.0))[1]

    def number(self, producer: str, seq: int, sent_at: float = 0.0) -> None:
        """Note a producer's newest number, as where its message itself is no longer held."""
        self._newest[producer] = (seq, sent_at)
        self._newest.move_to_end(producer)
        if len(self._newest) > FOLLOWED:
            self._newest.popitem(last=False)

    def append(self, entry: Entry) -> None:
        """Add the entry that follows the last one.

        Raises:
            ValueError: where another would be next.
        """
        wanted = Position(self.last.epoch, self.last.offset + 1)
        if entry.position != wanted:
            raise ValueError(f"{entry.position} does not follow {self.last}")
        self._entries.append(entry)
        self.newest = entry
        self.last = entry.position
        self.bytes += len(entry.payload)
        self.number(entry.producer, entry.seq, entry.sent_at)
        self._expire()

    def restart(self, last: Position) -> None:
        """Forget every entry and go on behind a position; the numbering stays within an epoch."""
        if last.epoch != self.last.epoch:
            self._newest.clear()
        self._entries.clear()
        self.newest = None
        self.bytes = 0
        self.last = last

    def holds(self, position: Position | None) -> bool:
        """Tell whether everything behind a position is still held."""
        if position is None:
            return False
        self._expire()
        oldest = self.last.offset - len(self._entries)
        return position.epoch == self.last.epoch and oldest <= position.offset <= self.last.offset

    def after(self, offset: int, most: int) -> list[Entry]:
        """Return at most so many entries behind an offset that is held, oldest first."""
        start = offset - (self.last.offset - len(self._entries))
        # A deque is walked from its nearer end: from the newest for those that missed little.
        if start > len(self._entries) // 2:
            tail = list(islice(reversed(self._entries), len(self._entries) - start))
            return tail[::-1][:most]
        return list(islice(self._entries, start, start + most))

    def _expire(self) -> None:
        entries, limits = self._entries, self.limits
        oldest_allowed = self._now() - limits.seconds * 1000
        while entries and (
            len(entries) > limits.count
            or (self.bytes > limits.bytes and len(entries) > 1)
            or entries[0].sent_at < oldest_allowed
        ):
            self.bytes -= len(entries.popleft().payload)
