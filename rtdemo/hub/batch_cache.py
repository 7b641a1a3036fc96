"""The log in batches, each encoded once for all connections that read the same entries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from rtdemo.engine.log import Entry, Log
from rtdemo.hub.batch import Batch

BATCH_ENTRIES = 64
"""Entries in one batch, and so in one write."""
BATCH_BYTES = 64 * 1024
"""Bytes of JSON in one batch, a quarter of the outbox's limit; a batch of one entry may be larger."""
CACHED_BATCHES = 16
"""Batches in the cache: when a server stops, many clients resume elsewhere with the same entries."""


class BatchCache:
    """Make batches of the log's entries, and keep the last ones.

    Arguments:
        log: this server's copy of the log.
        always: returns whether a producer's messages are also sent to clients that did not pick it.
    """

    def __init__(self, log: Log, always: Callable[[str], bool]) -> None:
        self._log = log
        self._always = always
        # Key: the offset before the batch. Value: the highest offset that it may have, and the batch.
        self._batches: OrderedDict[int, tuple[int, Batch]] = OrderedDict()

    def after(self, offset: int) -> Batch:
        """Return the batch of entries after an offset, with at least one entry.

        A batch ends at a multiple of `BATCH_ENTRIES`, unless `BATCH_BYTES` or the log ends it earlier.
        So clients that resume at different positions soon share batches, which are encoded once.
        """
        end = min((offset // BATCH_ENTRIES + 1) * BATCH_ENTRIES, self._log.last.offset)
        cached = self._batches.get(offset)
        if cached is not None and cached[0] == end:
            return cached[1]
        entries: list[tuple[Entry, bool]] = []
        size = 0
        for entry in self._log.after(offset, end - offset):
            size += len(entry.payload)
            if entries and size > BATCH_BYTES:
                break
            entries.append((entry, self._always(entry.producer)))
        batch = Batch(entries)
        self._batches[offset] = end, batch
        if len(self._batches) > CACHED_BATCHES:
            self._batches.popitem(last=False)
        return batch

    def clear(self) -> None:
        """Forget all batches: the log has begun anew."""
        self._batches.clear()
