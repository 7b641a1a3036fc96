"""The log: the newest shared messages, bounded by count, bytes and age."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, KeysView
from dataclasses import dataclass
from itertools import islice

import msgspec

from rtdemo.protocol import message as messages
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.protocol.message import Message, Position, new_epoch

MAX_NUMBERED_PRODUCERS = 10_000
"""Producers for which a log remembers the newest message and its number."""


class Entry(msgspec.Struct, frozen=True):
    """One shared message in the log.

    Arguments:
        position: its position.
        producer: its producer's name.
        seq: number of the message among those of its producer in the deployment, from 1.
        sent_at: time at which it entered the log, in milliseconds since the Unix epoch.
        payload: its JSON as UTF-8, the same on both transports.
        transports: the transports on which it is sent.
        users: names of the users that may receive it; None for everyone.
    """

    position: Position
    producer: str
    seq: int
    sent_at: float
    payload: bytes
    transports: tuple[Transport, ...] = TRANSPORTS
    users: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Bounds of a log.

    Arguments:
        count: number of messages.
        bytes: sum of their JSON, in bytes.
        seconds: age of a message.
    """

    count: int = 10_000
    bytes: int = 16 * 1024 * 1024
    seconds: float = 3600.0


class Log:
    """The newest entries of one epoch, in order and without gaps.

    Arguments:
        limits: bounds of the log. Beyond any of them the oldest entries are dropped. The byte limit
            never drops the newest entry.
        now: returns the time, in milliseconds since the Unix epoch.

    Attributes:
        last: position of the newest entry; offset 0 if there was none yet.
        newest: the newest entry, even if it is already dropped; None if there was none since `restart`.
        bytes: sum of the entries' JSON, in bytes.
    """

    def __init__(self, limits: LogLimits | None = None, now: Callable[[], float] = messages.now) -> None:
        self.limits = limits or LogLimits()
        self.last = Position(new_epoch(), 0)
        self.newest: Entry | None = None
        self.bytes = 0
        self._now = now
        self._entries: deque[Entry] = deque()
        self._numbers: OrderedDict[str, tuple[int, float]] = OrderedDict()
        # The newest entry of each producer; the oldest of these is first.
        self._latest: OrderedDict[str, Entry] = OrderedDict()
        self._latest_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def oldest_at(self) -> float:
        """When its oldest entry was sent, in ms since the Unix epoch; now if it has none."""
        self._expire()
        return self._entries[0].sent_at if self._entries else self._now()

    @property
    def producers(self) -> KeysView[str]:
        """The names that messages were published under: a view, since there may be 10,000."""
        return self._numbers.keys()

    @property
    def latest(self) -> Iterable[Entry]:
        """The newest entry of each producer, even if it is already dropped, the oldest first.

        They are bounded by the number of names, and by the log's limit of bytes.
        """
        return self._latest.values()

    def latest_of(self, producer: str) -> Entry | None:
        """Return the newest entry of a producer, even if it is already dropped, as `latest` has it."""
        return self._latest.get(producer)

    def seq(self, producer: str) -> int:
        """Return the number of a producer's newest message; 0 before its first."""
        return self._numbers.get(producer, (0, 0.0))[0]

    def sent_at(self, producer: str) -> float:
        """Return when a producer's newest message was sent, in ms since the Unix epoch; or 0."""
        return self._numbers.get(producer, (0, 0.0))[1]

    def set_seq(self, producer: str, seq: int, sent_at: float = 0.0) -> None:
        """Set the number of a producer's newest message, even if the message is already dropped.

        Arguments:
            producer: the producer's name.
            seq: the number.
            sent_at: when the message was sent, in milliseconds since the Unix epoch, if known.
        """
        self._numbers[producer] = (seq, sent_at)
        self._numbers.move_to_end(producer)
        if len(self._numbers) > MAX_NUMBERED_PRODUCERS:
            self._numbers.popitem(last=False)

    def append(self, entry: Entry) -> None:
        """Append the entry with the next offset.

        Raises:
            ValueError: if the entry has another position.
        """
        expected = Position(self.last.epoch, self.last.offset + 1)
        if entry.position != expected:
            raise ValueError(f"{entry.position} does not follow {self.last}")
        self._entries.append(entry)
        self.newest = entry
        self.last = entry.position
        self.bytes += len(entry.payload)
        self.set_seq(entry.producer, entry.seq, entry.sent_at)
        self.set_latest(entry)
        self._expire()

    def set_latest(self, entry: Entry) -> None:
        """Set the newest entry of a producer, even if the log does not hold it."""
        older = self._latest.pop(entry.producer, None)
        self._latest[entry.producer] = entry
        self._latest_bytes += len(entry.payload) - (len(older.payload) if older is not None else 0)
        while len(self._latest) > MAX_NUMBERED_PRODUCERS or (
            self._latest_bytes > self.limits.bytes and len(self._latest) > 1
        ):
            self._latest_bytes -= len(self._latest.popitem(last=False)[1].payload)

    def restart(self, last: Position) -> None:
        """Drop every entry and continue after a position.

        The producers' numbers and newest entries are kept if the epoch is the same.
        """
        if last.epoch != self.last.epoch:
            self._numbers.clear()
            self._latest.clear()
            self._latest_bytes = 0
        self._entries.clear()
        self.newest = None
        self.bytes = 0
        self.last = last

    def holds(self, position: Position | None) -> bool:
        """Return whether the log still has every entry after a position."""
        if position is None:
            return False
        self._expire()
        oldest = self.last.offset - len(self._entries)
        return position.epoch == self.last.epoch and oldest <= position.offset <= self.last.offset

    def after(self, offset: int, limit: int) -> list[Entry]:
        """Return the entries after an offset, oldest first.

        Arguments:
            offset: an offset for which `holds` is true.
            limit: the maximum number of entries.
        """
        start = offset - (self.last.offset - len(self._entries))
        # A deque is read from its nearer end: from the newest for clients that missed few messages.
        if start > len(self._entries) // 2:
            tail = list(islice(reversed(self._entries), len(self._entries) - start))
            return tail[::-1][:limit]
        return list(islice(self._entries, start, start + limit))

    def start_of(self, seconds: float) -> tuple[Position, bool]:
        """Return the position before the entries of the last seconds.

        Arguments:
            seconds: how far back.

        Returns:
            The position, and whether older entries of that time are no longer in the log.
        """
        self._expire()
        since = self._now() - seconds * 1000
        # Clocks of servers differ a little, so times may go back: then the place is not exact.
        skipped = bisect_left(self._entries, since, key=lambda entry: entry.sent_at)
        oldest = self._entries[0] if self._entries else self.newest
        dropped = self.last.offset - len(self._entries)
        is_truncated = dropped > 0 and oldest is not None and oldest.sent_at >= since
        return Position(self.last.epoch, dropped + skipped), is_truncated

    def _expire(self) -> None:
        entries, limits = self._entries, self.limits
        oldest_allowed = self._now() - limits.seconds * 1000
        while entries and (
            len(entries) > limits.count
            or (self.bytes > limits.bytes and len(entries) > 1)
            or entries[0].sent_at < oldest_allowed
        ):
            self.bytes -= len(entries.popleft().payload)


def make_entry(
    message: Message,
    producer: str,
    seq: int,
    position: Position,
    at: float,
    transports: tuple[Transport, ...],
    users: frozenset[str] | None = None,
) -> Entry:
    """Return a message as an entry of the log, with its time, number and position.

    Arguments:
        message: the message.
        producer: its producer's name.
        seq: number of the message among those of its producer.
        position: its position.
        at: time at which it enters the log, in milliseconds since the Unix epoch.
        transports: the transports on which it is sent.
        users: names of the users that may receive it; None for everyone.
    """
    payload = messages.encode(message.logged(at, producer, seq, str(position)))
    return Entry(position, producer, seq, at, payload, transports, users)
