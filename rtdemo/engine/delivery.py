"""Append entries to a log, and deliver those that come together at once: fewer writes to each client."""

from __future__ import annotations

from rtdemo.engine.interface import Subscriber
from rtdemo.engine.log import Entry, Log

MAX_ENTRIES = 64
"""Entries that are delivered at once, as many as one write to a client has."""
MAX_BYTES = 64 * 1024
"""Bytes of their JSON; a single entry may have more."""


class Delivery:
    """Collect entries that were appended to a log and are not delivered yet.

    They are delivered before the log drops one of them, however short it is.

    Arguments:
        log: the log.

    Attributes:
        subscriber: gets the entries; None for nobody.
    """

    def __init__(self, log: Log) -> None:
        self.subscriber: Subscriber | None = None
        self._log = log
        self._waiting: list[Entry] = []
        self._bytes = 0

    def append(self, entry: Entry) -> None:
        """Append an entry to the log, and collect it.

        Raises:
            ValueError: if it does not follow the log's newest entry.
        """
        limits = self._log.limits
        size = self._bytes + len(entry.payload)
        if len(self._waiting) >= min(MAX_ENTRIES, limits.count) or size > min(MAX_BYTES, limits.bytes):
            self.deliver()
        self._log.append(entry)
        self._waiting.append(entry)
        self._bytes += len(entry.payload)

    def deliver(self) -> None:
        """Deliver what was collected."""
        entries, self._waiting, self._bytes = self._waiting, [], 0
        if entries and self.subscriber is not None:
            self.subscriber.deliver(entries)
