"""Messages that wait to be sent: bounded, the oldest are dropped and counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from threading import Condition, Lock

MAX_BATCH = 100
"""Messages that a server takes in one request, and puts into its log at once."""
MAX_BATCH_BYTES = 60 * 1024
"""Bytes of a request's body, below the server's limit of 64 KiB; one message alone may be larger."""
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Bytes of the messages that wait, as many as the server's log has by default."""


@dataclass(frozen=True, slots=True)
class PublishCounts:
    """What became of the messages that were published so far.

    Arguments:
        accepted: the server has them.
        dropped: they waited when there was no room for more.
        refused: the server does not take them, for example because of their name or their size.
        waiting: they are not sent yet, or their answer has not arrived.
        nulls: NaNs and infinities in their values, which are sent as null.
    """

    accepted: int = 0
    dropped: int = 0
    refused: int = 0
    waiting: int = 0
    nulls: int = 0


def total(counts: Iterable[PublishCounts]) -> PublishCounts:
    """Return the sums of several counts."""
    return PublishCounts(*map(sum, zip(*map(astuple, counts), strict=True)))


class Waiting:
    """Hold messages from any thread until one thread takes them.

    Arguments:
        size: messages that may wait; each further one drops the oldest.
        max_bytes: their JSON in bytes; more drops the oldest, but never the newest.
    """

    def __init__(self, size: int, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0
        self._messages: deque[bytes] = deque()
        # `put` takes the lock itself: a Condition's `with` is slower.
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._is_closed = False
        self._taken = self._accepted = self._dropped = self._refused = self._nulls = 0

    @property
    def counts(self) -> PublishCounts:
        """What became of the messages so far."""
        with self._changed:
            waiting = len(self._messages) + self._taken
            return PublishCounts(self._accepted, self._dropped, self._refused, waiting, self._nulls)

    def put(self, message: bytes, nulls: int = 0) -> bool:
        """Add a message; return whether it is the only one that waits.

        Arguments:
            message: its JSON.
            nulls: numbers in it that became null, to be counted.
        """
        with self._lock:
            self._nulls += nulls
            if self._is_closed:
                self._dropped += 1
                return False
            self._messages.append(message)
            self._bytes += len(message)
            count = len(self._messages)
            if count == 1:
                self._changed.notify_all()
                return True
            if count > self._size or self._bytes > self._max_bytes:
                self._drop_oldest()
            return False

    def _drop_oldest(self) -> None:
        while len(self._messages) > 1 and (
            len(self._messages) > self._size or self._bytes > self._max_bytes
        ):
            self._bytes -= len(self._messages.popleft())
            self._dropped += 1

    def take(self) -> list[bytes]:
        """Take the oldest messages, as many as one request may have; `settle` counts them."""
        batch: list[bytes] = []
        size = 0
        with self._changed:
            while self._messages and len(batch) < MAX_BATCH:
                size += len(self._messages[0]) + 1
                if batch and size > MAX_BATCH_BYTES:
                    break
                batch.append(self._messages.popleft())
                self._bytes -= len(batch[-1])
            self._taken += len(batch)
        return batch

    def wait_and_take(self) -> list[bytes]:
        """Wait until there is a message, then take as `take` does."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages)
        return self.take()

    def __len__(self) -> int:
        return len(self._messages)

    def settle(self, accepted: int, refused: int, dropped: int = 0) -> None:
        """Count messages that were taken."""
        with self._changed:
            self._taken -= accepted + refused + dropped
            self._accepted += accepted
            self._refused += refused
            self._dropped += dropped
            self._changed.notify_all()

    def close(self) -> None:
        """Drop each further message; what waits can still be taken."""
        self._is_closed = True

    def drop(self) -> int:
        """Drop what waits; return how many messages that are."""
        with self._changed:
            dropped = len(self._messages)
            self._messages.clear()
            self._bytes = 0
            self._dropped += dropped
            self._changed.notify_all()
        return dropped

    def wait_until_empty(self, timeout: float) -> None:
        """Wait until no message waits, for at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._messages and not self._taken, timeout)
