"""The memory engine: the log of a single process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtdemo.engine.delivery import Delivery
from rtdemo.engine.interface import IDEMPOTENCY_KEY_S, Draft, Subscriber, fingerprint
from rtdemo.engine.log import Log, LogLimits, make_entry
from rtdemo.engine.one_time_values import MemoryValues, OneTimeValues
from rtdemo.errors import KeyReused
from rtdemo.protocol import message as messages
from rtdemo.protocol.message import Position

MAX_IDEMPOTENCY_KEYS = 100_000
"""Idempotency keys that are remembered, at about 400 bytes each; a further one drops the oldest.

A publisher of 20,000 messages a second, 100 in a request, uses so many in 8 minutes, and tries again
within seconds.
"""


class MemoryEngine:
    """Engine of a single process: it numbers and delivers messages at once, and always leads.

    Arguments:
        limits: bounds of the log.
        now: returns the time, in milliseconds since the Unix epoch.
    """

    name = "memory"
    may_lag = False
    state = "ready"
    server = ""
    servers: Mapping[str, Mapping[str, Any]] = {}

    def __init__(self, limits: LogLimits | None = None, now: Callable[[], float] = messages.now) -> None:
        self.log = Log(limits, now)
        self._now = now
        self._delivery = Delivery(self.log)
        self.one_time_values: OneTimeValues = MemoryValues(now)
        # The newest key is last.
        self._keys: OrderedDict[str, _Publication] = OrderedDict()

    @property
    def remembered_keys(self) -> int:
        """Number of idempotency keys that are remembered."""
        return len(self._keys)

    async def load(self) -> None:
        """Do nothing: the log starts empty."""

    def follow(self, subscriber: Subscriber) -> None:
        """Report every entry to a subscriber from now on, and make it the leader."""
        self._delivery.subscriber = subscriber
        subscriber.lead(True)

    def publish(
        self, drafts: Sequence[Draft], key: str = "", leading: bool = False
    ) -> asyncio.Future[list[Position]]:
        """Append messages and deliver them. The returned future is done already."""
        future: asyncio.Future[list[Position]] = asyncio.get_running_loop().create_future()
        content = fingerprint(drafts) if key else ""
        earlier = self._published_with(key)
        if earlier is not None and earlier.fingerprint != content:
            future.set_exception(KeyReused())
        elif earlier is not None:
            epoch, first = earlier.first
            future.set_result([Position(epoch, first + index) for index in range(len(drafts))])
        else:
            positions = [self._append(draft) for draft in drafts]
            self._delivery.deliver()
            if key and positions:
                self._remember(key, _Publication(content, positions[0], self._now()))
            future.set_result(positions)
        return future

    async def close(self) -> None:
        """Stop delivering."""
        self._delivery.subscriber = None

    def _append(self, draft: Draft) -> Position:
        log = self.log
        position = Position(log.last.epoch, log.last.offset + 1)
        seq = log.seq(draft.producer) + 1
        entry = make_entry(
            draft.message, draft.producer, seq, position, self._now(), draft.transports, draft.users
        )
        self._delivery.append(entry)
        return position

    def _remember(self, key: str, publication: _Publication) -> None:
        self._keys[key] = publication
        if len(self._keys) > MAX_IDEMPOTENCY_KEYS:
            self._keys.popitem(last=False)

    def _published_with(self, key: str) -> _Publication | None:
        oldest_allowed = self._now() - IDEMPOTENCY_KEY_S * 1000
        while self._keys and next(iter(self._keys.values())).published_at < oldest_allowed:
            self._keys.popitem(last=False)
        return self._keys.get(key) if key else None


@dataclass(frozen=True, slots=True)
class _Publication:
    """What was published with an idempotency key, from which position on, and when."""

    fingerprint: str
    first: Position
    published_at: float
