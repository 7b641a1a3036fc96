"""Keep a server alive in Redis: who leads, and who else is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import msgspec
from redis.exceptions import ResponseError

from rtdemo.engine import scripts
from rtdemo.engine.health import Health
from rtdemo.engine.link import FAULTS, Keys, Redis, raise_if_cancelled

log = logging.getLogger(__name__)

BEAT = 0.5
"""Seconds between two renewals of the lease."""
LEASE = 3.0
"""Seconds that a lease holds: with a beat, another server leads within 5 s."""
PRESENCE = 6.0
"""Seconds for which a server that tells nothing more is listed."""


class Heart:
    """Renew the lease, or take it when it is free, and tell of this server.

    Arguments:
        redis: whose keys these are.
        keys: their names.
        server: this server's name.
        lead: called with True and False as this server begins and ceases to lead.
        health: told whether Redis takes what is written.

    Attributes:
        tell: gives what the other servers are to know of this one.
        is_leading: as far as is known here; Redis decides at each message.
    """

    def __init__(
        self, redis: Redis, keys: Keys, server: str, lead: Callable[[bool], object], health: Health
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._server = server
        self._lead = lead
        self._health = health
        self._until = 0.0
        self._told = 0.0
        self.tell: Callable[[], Mapping[str, object]] = dict
        self._others: dict[str, dict[str, object]] = {}
        self.is_leading = False

    @property
    def others(self) -> dict[str, dict[str, object]]:
        """What each living server told, this one included, by name; nothing once that is old."""
        # While Redis is away it expires nobody.
        return self._others if time.monotonic() < self._told + PRESENCE else {}

    async def beat(self) -> None:
        """Renew until cancelled."""
        while True:
            raise_if_cancelled()
            try:
                await self._renew()
                await self._present()
            except ResponseError as error:
                self._health.refused(error)
            except FAULTS as error:
                log.debug("no heartbeat: %r", error)
            except Exception:
                # A bug, or what another version told of itself: the lease is still to be renewed.
                log.exception("a heartbeat failed")
            if time.monotonic() >= self._until:
                self.lead(False)
            await asyncio.sleep(BEAT)

    def lead(self, leading: bool) -> None:
        """Note who leads, and say so once."""
        if leading is not self.is_leading:
            self.is_leading = leading
            log.info("this server %s the shared producers", "runs" if leading else "no longer runs")
            self._lead(leading)

    async def stop(self) -> None:
        """Give the lease up, so that another server leads at once."""
        self.lead(False)
        names = (self._keys.leader, self._keys.servers, self._keys.seen)
        try:
            await self._redis.eval(scripts.RELEASE, len(names), *names, self._server)
        except FAULTS as error:
            log.debug("the lease runs out by itself: %r", error)

    async def _renew(self) -> None:
        # Counted from before the question: Redis counts from when it hears it.
        asked = time.monotonic()
        if self.is_leading and asked >= self._until:
            # This process stood still; another may lead by now.
            self.lead(False)
        milliseconds = int(LEASE * 1000)
        held = await self._redis.eval(scripts.LEASE, 1, self._keys.leader, self._server, milliseconds)
        if held:
            self._until = asked + LEASE
            self._health.wrote()
        self.lead(bool(held))

    async def _present(self) -> None:
        now = time.monotonic()
        if now < self._told + PRESENCE / 3 and not self._health.unwritten:
            return
        names = (self._keys.servers, self._keys.seen)
        what = msgspec.json.encode(self.tell()).decode()
        flat = await self._redis.eval(
            scripts.PRESENCE, 2, *names, self._server, what, int(PRESENCE * 1000)
        )
        self._told = now
        self._health.wrote()
        pairs = zip(flat[::2], flat[1::2], strict=True)
        self._others = {name: msgspec.json.decode(text) for name, text in pairs}
