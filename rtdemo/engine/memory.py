"""Keep the log in this process, for this process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtdemo.engine.interface import KEY_SECONDS, Draft, Subscriber, fingerprint
from rtdemo.engine.log import Log, LogLimits, entry
from rtdemo.errors import KeyReused, Unavailable
from rtdemo.protocol import message as messages
from rtdemo.protocol.message import Position

MAX_KEYS = 100_000
"""Idempotency keys that are remembered, at some 300 bytes each; one more is refused until one is old."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Hold what came with an idempotency key, and when."""

    print: str
    positions: list[Position]
    at: float


class MemoryEngine:
    """Number messages at once and deliver them at once; it always leads.

    Arguments:
        limits: of the log.
        now: milliseconds since the epoch.
    """

    name = "memory"
    lags = False
    state = "ready"

    def __init__(self, limits: LogLimits | None = None, now: Callable[[], float] = messages.now) -> None:
        self.log = Log(limits, now)
        self._now = now
        self._subscriber: Subscriber | None = None
        # The newest last.
        self._keys: OrderedDict[str, _Known] = OrderedDict()

    servers: Mapping[str, Mapping[str, Any]] = {}
    server = ""

    async def load(self) -> None:
        """Do nothing: the log begins empty."""

    def follow(self, subscriber: Subscriber) -> None:
        """Report every message to the subscriber, and make it lead."""
        self._subscriber = subscriber
        subscriber.lead(True)

    def publish(
        self, drafts: Sequence[Draft], key: str = "", leading: bool = False
    ) -> asyncio.Future[list[Position]]:
        """Append messages and deliver them; the future is done already."""
        future: asyncio.Future[list[Position]] = asyncio.get_running_loop().create_future()
        what = fingerprint(drafts) if key else ""
        known = self._known(key)
        if known is not None and known.print != what:
            future.set_exception(KeyReused())
        elif known is not None:
            future.set_result(known.positions)
        elif key and len(self._keys) >= MAX_KEYS:
            future.set_exception(Unavailable(f"{MAX_KEYS} idempotency keys are remembered; wait"))
        else:
            positions = [self._append(draft) for draft in drafts]
            if key:
                self._keys[key] = _Known(what, positions, self._now())
            future.set_result(positions)
        return future

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

    def _known(self, key: str) -> _Known | None:
        oldest_allowed = self._now() - KEY_SECONDS * 1000
        while self._keys and next(iter(self._keys.values())).at < oldest_allowed:
            self._keys.popitem(last=False)
        return self._keys.get(key) if key else None
