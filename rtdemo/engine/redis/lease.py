"""Keep a server alive in Redis: who leads, and who else is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import msgspec
from redis.exceptions import ResponseError

from rtdemo.engine.redis.client import FAULTS, Health, Keys, Redis, raise_if_cancelled

RENEW_SCRIPT = """
-- Take or renew the lease. KEYS: leader; ARGV: who, ms. Returns 1 to who leads.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
RELEASE_SCRIPT = """
-- Give the lease up, and be gone from the list. KEYS: leader, servers, seen; ARGV: who.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
"""
PRESENCE_SCRIPT = """
-- Tell of this server and learn of all that told within so many ms.
-- KEYS: servers, seen; ARGV: who, what, ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])) do
  redis.call('HDEL', KEYS[1], gone)
  redis.call('ZREM', KEYS[2], gone)
end
return redis.call('HGETALL', KEYS[1])
"""
log = logging.getLogger(__name__)
RENEWAL_INTERVAL_S = 0.5
"""Seconds between two renewals of the lease."""
LEASE_S = 3.0
"""Seconds that a lease holds: with a beat, another server leads within 5 s."""
PRESENCE_S = 6.0
"""Seconds for which a server that tells nothing more is listed."""


class Lease:
    """Renew the lease, or take it when it is free, and tell of this server.

    Arguments:
        redis: whose keys these are.
        keys: their names.
        server: this server's name.
        lead: called with True and False as this server begins and ceases to lead.
        presence: returns what the other servers may read of this one.
        health: told whether Redis takes what is written.

    Attributes:
        is_leading: as far as is known here; Redis decides at each message.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        server: str,
        lead: Callable[[bool], object],
        presence: Callable[[], Mapping[str, object]],
        health: Health,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._server = server
        self._lead = lead
        self._health = health
        self._until = 0.0
        self._told = 0.0
        self._presence = presence
        self._others: dict[str, dict[str, object]] = {}
        self.is_leading = False

    @property
    def others(self) -> dict[str, dict[str, object]]:
        """What each living server told, this one included, by name; nothing once that is old."""
        # While Redis is away it expires nobody.
        return self._others if time.monotonic() < self._told + PRESENCE_S else {}

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
            await asyncio.sleep(RENEWAL_INTERVAL_S)

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
            await self._redis.eval(RELEASE_SCRIPT, len(names), *names, self._server)
        except FAULTS as error:
            log.debug("the lease runs out by itself: %r", error)

    async def _renew(self) -> None:
        # Counted from before the question: Redis counts from when it hears it.
        asked = time.monotonic()
        if self.is_leading and asked >= self._until:
            # This process stood still; another may lead by now.
            self.lead(False)
        milliseconds = int(LEASE_S * 1000)
        held = await self._redis.eval(RENEW_SCRIPT, 1, self._keys.leader, self._server, milliseconds)
        if held:
            self._until = asked + LEASE_S
            self._health.wrote()
        self.lead(bool(held))

    async def _present(self) -> None:
        now = time.monotonic()
        if now < self._told + PRESENCE_S / 3 and not self._health.unwritten:
            return
        names = (self._keys.servers, self._keys.seen)
        what = msgspec.json.encode(self._presence()).decode()
        flat = await self._redis.eval(
            PRESENCE_SCRIPT, 2, *names, self._server, what, int(PRESENCE_S * 1000)
        )
        self._told = now
        self._health.wrote()
        pairs = zip(flat[::2], flat[1::2], strict=True)
        self._others = {name: msgspec.json.decode(text) for name, text in pairs}
