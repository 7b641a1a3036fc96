"""Keep the log in this process, for this process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtdemo import message as messages
from rtdemo.engine.interface import KEY_SECONDS, Draft, Subscriber
from rtdemo.engine.log import Limits, Log, entry
from rtdemo.errors import KeyReused
from rtdemo.position import Position

MAX_KEYS = 10_000


class MemoryEngine:
    """Number messages at once and deliver them at once; it always leads.

    Arguments:
        limits: of the log.
        now: milliseconds since the epoch.
    """

    name = "memory"
    state = "ready"

    def __init__(self, limits: Limits | None = None, now: Callable[[], float] = messages.now) -> None:
        self.log = Log(limits, now)
        self._now = now
        self._subscriber: Subscriber | None = None
        # The newest last: (what came with the key, its positions, when).
        self._keys: OrderedDict[str, tuple[list[Draft], list[Position], float]] = OrderedDict()

    servers: Mapping[str, Mapping[str, Any]] = {}
    server = ""

    def tell(self, presence: Callable[[], Mapping[str, object]]) -> None:
        """Tell nobody: there is nobody else."""

    async def subscribe(self, subscriber: Subscriber) -> None:
        """Hand every message to the subscriber, and let it lead."""
        self._subscriber = subscriber
        subscriber.lead(True)

    def publish(
        self, drafts: Sequence[Draft], key: str = "", leading: bool = False
    ) -> asyncio.Future[list[Position]]:
        """Append messages and deliver them; the future is done already."""
        future: asyncio.Future[list[Position]] = asyncio.get_running_loop().create_future()
        known = self._known(key)
        if known is None:
            positions = [self._append(draft) for draft in drafts]
            if key:
                self._keys[key] = (list(drafts), positions, self._now())
            future.set_result(positions)
        elif known[0] == list(drafts):
            future.set_result(known[1])
        else:
            future.set_exception(KeyReused())
        return future

    async def knows(self, position: Position) -> bool:
        """Tell that nothing is ahead of the log."""
        return False

    async def close(self) -> None:
        """Deliver nothing more."""
        self._subscriber = None

    def _append(self, draft: Draft) -> Position:
        log = self.log
        position = Position(log.last.epoch, log.last.offset + 1)
        seq = log.seq(draft.producer) + 1
        made = entry(draft.message, draft.producer, seq, position, self._now(), draft.transports)
        log.append(made)
        if self._subscriber is not None:
            self._subscriber.deliver(made)
        return position

    def _known(self, key: str) -> tuple[list[Draft], list[Position], float] | None:
        oldest_allowed = self._now() - KEY_SECONDS * 1000
        while self._keys:
            oldest = next(iter(self._keys))
            if self._keys[oldest][2] >= oldest_allowed and len(self._keys) <= MAX_KEYS:
                break
            del self._keys[oldest]
        return self._keys.get(key) if key else None
