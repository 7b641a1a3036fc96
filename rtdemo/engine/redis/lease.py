"""The lease in Redis: which server leads, and which servers are running."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import msgspec
from redis.exceptions import ResponseError

from rtdemo.engine.redis.client import REDIS_ERRORS, Health, Keys, Redis, raise_if_cancelled

log = logging.getLogger(__name__)

RENEWAL_INTERVAL_S = 0.5
"""Seconds between two renewals of the lease."""
LEASE_S = 3.0
"""Seconds that a lease is valid. After a crash, another server leads within 5 s."""
PRESENCE_S = 6.0
"""Seconds for which a server is listed after its last report."""

RENEW_SCRIPT = """
-- Take the lease, or renew it. Return 1 if the server leads, else 0.
-- KEYS: leader; ARGV: server, validity in ms.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
RELEASE_SCRIPT = """
-- Release the lease if the server has it, and remove the server from the list.
-- KEYS: leader, servers, seen; ARGV: server.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
"""
PRESENCE_SCRIPT = """
-- Report the presence of a server; return those of all servers that reported recently.
-- KEYS: servers, seen; ARGV: server, its presence, how many ms a report is valid.
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


class Lease:
    """Takes and renews the lease for one server, and reports its presence to the others.

    Arguments:
        redis: a client of its own, so that a renewal never waits for other commands.
        keys: the deployment's keys.
        server: this server's name.
        lead: called with True when this server begins to lead, and with False when it stops.
        presence: returns what this server reports about itself.
        health: keeps whether Redis accepts writes.

    Attributes:
        is_leading: whether this server leads, as far as it knows. Redis checks it at each message.
        reported_at: when this server last reported its presence, in seconds of `time.monotonic`.
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
        self._valid_until = 0.0
        self.reported_at = 0.0
        self._presence = presence
        self._servers: dict[str, dict[str, object]] = {}
        self.is_leading = False

    @property
    def servers(self) -> dict[str, dict[str, object]]:
        """The presence of each running server, this one included, by name; up to 2 s old.

        Empty while Redis is unavailable for longer than `PRESENCE_S`, because nothing expires then.
        """
        return self._servers if time.monotonic() < self.reported_at + PRESENCE_S else {}

    async def run(self) -> None:
        """Renew the lease and report the presence until cancelled."""
        while True:
            raise_if_cancelled()
            try:
                await self.renew()
                await self._report_presence()
            except ResponseError as error:
                self._health.write_refused(error)
            except REDIS_ERRORS as error:
                log.debug("the lease was not renewed: %r", error)
            except Exception:
                # A bug, or a presence of another version. Continue: the lease must be renewed.
                log.exception("renewing the lease failed; retrying")
            if time.monotonic() >= self._valid_until:
                self.set_leading(False)
            await asyncio.sleep(RENEWAL_INTERVAL_S)

    def set_leading(self, leading: bool) -> None:
        """Set whether this server leads. Log and report a change."""
        if leading is not self.is_leading:
            self.is_leading = leading
            log.info("this server %s the shared producers", "runs" if leading else "no longer runs")
            self._lead(leading)

    async def release(self) -> None:
        """Stop leading and release the lease, so that another server leads at once."""
        self.set_leading(False)
        names = (self._keys.leader, self._keys.servers, self._keys.seen)
        try:
            await self._redis.eval(RELEASE_SCRIPT, len(names), *names, self._server)
        except REDIS_ERRORS as error:
            log.debug("the lease was not released and will expire: %r", error)

    async def renew(self) -> None:
        """Renew the lease, or take it if it is free."""
        # Validity is counted from before the request, because Redis counts from its arrival.
        requested_at = time.monotonic()
        if self.is_leading and requested_at >= self._valid_until:
            # This process was paused. Another server may lead now.
            self.set_leading(False)
        milliseconds = int(LEASE_S * 1000)
        held = await self._redis.eval(RENEW_SCRIPT, 1, self._keys.leader, self._server, milliseconds)
        if held:
            self._valid_until = requested_at + LEASE_S
            self._health.write_succeeded()
        self.set_leading(bool(held))

    async def _report_presence(self) -> None:
        now = time.monotonic()
        if now < self.reported_at + PRESENCE_S / 3 and not self._health.write_problem:
            return
        names = (self._keys.servers, self._keys.seen)
        presence = msgspec.json.encode(self._presence()).decode()
        flat = await self._redis.eval(
            PRESENCE_SCRIPT, len(names), *names, self._server, presence, int(PRESENCE_S * 1000)
        )
        self.reported_at = now
        self._health.write_succeeded()
        pairs = zip(flat[::2], flat[1::2], strict=True)
        self._servers = {name: msgspec.json.decode(text) for name, text in pairs}
