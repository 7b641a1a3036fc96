"""Share the log among several servers through one Redis stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import uniform
from secrets import token_hex
from typing import Any

import msgspec

from rtdemo.engine.interface import Draft, Subscriber
from rtdemo.engine.log import Entry, Log, LogLimits, make_entry
from rtdemo.engine.redis import client
from rtdemo.engine.redis.client import READY, Health
from rtdemo.engine.redis.lease import Lease
from rtdemo.engine.redis.publisher import Publisher
from rtdemo.errors import one_line
from rtdemo.protocol import message as messages
from rtdemo.protocol.message import Message, Position

log = logging.getLogger(__name__)
READ = 500
"""Entries that one answer may hold."""
BLOCK = 1.0
"""Seconds for which Redis keeps a reader waiting; then it is seen whether the log is the same."""
SLICE = 32
"""Entries that are delivered before the loop gets its turn."""
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0
"""Seconds between two tries to reach Redis, doubling, with jitter."""


class RedisEngine:
    """Number messages in Redis, one step each, and follow the stream with one blocking reader.

    Each server keeps a copy of the newest messages, so that history costs Redis nothing however
    many clients come back. A stream's entry has its offset as id.

    Arguments:
        url: `redis://`, `rediss://` or `unix://`.
        prefix: begins every key; two deployments on one Redis need two.
        limits: of the log, there and here.
        now: milliseconds since the epoch.
        server: a name that no other server has.
    """

    name = "redis"
    may_lag = True

    def __init__(
        self,
        url: str,
        prefix: str = "rtdemo",
        limits: LogLimits | None = None,
        now: Callable[[], float] = messages.now,
        server: str | None = None,
    ) -> None:
        self.log = Log(limits, now)
        self.server = server or token_hex(4)
        self._url = url
        self._keys = client.Keys(prefix)
        self._commands = client.connect(url)
        self._blocking = client.connect(url, BLOCK + client.TIMEOUT)
        self._beating = client.connect(url)
        self._health = Health()
        self._publisher = Publisher(
            self._commands,
            self._keys,
            self.log,
            self.server,
            now,
            self._health,
            away=self._away,
            refused=lambda: self.lease.lead(False),
        )
        self._subscriber: Subscriber | None = None
        self._tasks: list[asyncio.Task[None]] = []
        # After a fault Redis may be another, or restored from an older state.
        self._in_doubt = False
        self.lease = Lease(
            self._beating, self._keys, self.server, self._lead, self._presence, self._health
        )

    @property
    def state(self) -> str:
        """`ready`, or why nothing can be published."""
        return self._health.state

    async def reach(self) -> None:
        """See whether Redis is there and fit.

        Raises:
            EngineError: when it cannot be reached or used.
        """
        await client.check(self._commands, self._url)

    async def load(self) -> None:
        """Check Redis, and copy the newest messages into `log`.

        Raises:
            EngineError: when Redis cannot be reached or used.
        """
        await self.reach()
        try:
            await self._load()
        except client.FAULTS as error:
            raise client.explain(self._url, error) from error

    def follow(self, subscriber: Subscriber) -> None:
        """Report every new entry to the subscriber, from the end of the loaded log until `close`."""
        self._subscriber = subscriber
        self._health.read()
        for work in (self._follow(), self._publisher.work(), self.lease.beat()):
            self._tasks.append(asyncio.ensure_future(work))

    def publish(
        self, drafts: Sequence[Draft], key: str = "", leading: bool = False
    ) -> asyncio.Future[list[Position]]:
        """Queue messages for Redis; they come back, to be delivered, by the reader."""
        return self._publisher.put(drafts, key, leading)

    async def close(self) -> None:
        """Stop everything and give up leading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._publisher.fail("the server is stopping")
        if self._tasks and self.state == READY:
            await self.lease.stop()
        self._tasks.clear()
        self._health.unread = "closed"
        for redis in (self._commands, self._blocking, self._beating):
            with suppress(*client.FAULTS):
                await redis.aclose()

    @property
    def servers(self) -> Mapping[str, Mapping[str, Any]]:
        """What each living server told of itself, by name; up to 2 s old."""
        return self.lease.others

    def _lead(self, leading: bool) -> None:
        if self._subscriber is not None:
            self._subscriber.lead(leading)

    def _presence(self) -> Mapping[str, object]:
        return self._subscriber.presence() if self._subscriber is not None else {}

    def _away(self, error: Exception) -> None:
        self._health.lost(f"redis is away: {one_line(error)}")
        self._publisher.fail(self.state)

    async def _last(self) -> Position:
        epoch, offset = await self._commands.hmget(self._keys.meta, ["epoch", "offset"])
        return Position(epoch or "", int(offset or 0))

    async def _load(self) -> None:
        """Take over what Redis holds, from its oldest entry on, while others publish and it trims."""
        await self._publisher.ensure_epoch()
        while True:
            try:
                return await self._copy()
            except ForeignEntryError as error:
                log.warning("%s; a new log begins", error)
                await self._publisher.ensure_epoch(afresh=True)

    async def _copy(self) -> None:
        self.log.restart(await self._last())
        for name, seq in (await self._commands.hgetall(self._keys.numbers)).items():
            self.log.set_seq(name, int(seq))
        behind = 0
        while found := await self._commands.xrange(self._keys.log, f"{behind + 1}-0", count=READ):
            for made in map(read, found):
                if made.position != _following(self.log.last):
                    self.log.restart(Position(made.position.epoch, made.position.offset - 1))
                self.log.append(made)
            behind = self.log.last.offset

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        while True:
            client.raise_if_cancelled()
            try:
                await self._read_or_restart()
                self._health.read()
                pause = FIRST_PAUSE
            except client.FAULTS as error:
                self._in_doubt = True
                self._away(error)
                await asyncio.sleep(uniform(pause / 2, pause))
                pause = min(pause * 2, LAST_PAUSE)
            except Exception as error:
                # A bug is no reason to stop for good.
                log.exception("reading the log failed; trying again")
                self._health.lost(f"the log cannot be read: {one_line(error)}")
                await asyncio.sleep(LAST_PAUSE)

    async def _read_or_restart(self) -> None:
        try:
            await self._read()
        except ForeignEntryError as error:
            log.warning("%s", error)
            await self._restart(afresh=True)

    async def _read(self) -> None:
        # Before it blocks: what is not the same log is not to be read behind our offset.
        last = await self._last()
        if last.epoch != self.log.last.epoch or last.offset < self.log.last.offset:
            return await self._restart()
        if self._in_doubt and not await self._has_ours():
            # Restored from an older state, it has gone on with offsets that were given before.
            return await self._restart(afresh=True)
        self._in_doubt = False
        if self._subscriber is not None:
            self._subscriber.end_checked(last)
        behind = {self._keys.log: f"{self.log.last.offset}-0"}
        answer = await self._blocking.xread(behind, count=READ, block=int(BLOCK * 1000))
        found = answer[0][1] if answer else []
        if not found and last.offset > self.log.last.offset:
            return await self._restart()
        for index, made in enumerate(map(read, found)):
            if made.position != _following(self.log.last):
                return await self._restart()
            self.log.append(made)
            if self._subscriber is not None:
                self._subscriber.deliver(made)
            if index % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        return None

    async def _has_ours(self) -> bool:
        """Tell whether Redis has our newest entry as we have it, or let it go since."""
        newest = self.log.newest
        if newest is None:
            return True
        identifier = f"{newest.position.offset}-0"
        found = await self._commands.xrange(self._keys.log, identifier, identifier)
        return not found or read(found[0]) == newest

    async def _restart(self, afresh: bool = False) -> None:
        """Go on with the log that Redis has now, or with a new one; what lies between is lost."""
        await self._publisher.ensure_epoch(afresh)
        last = await self._last()
        oldest = await self._commands.xrange(self._keys.log, count=1)
        base = int(oldest[0][0].partition("-")[0]) - 1 if oldest else last.offset
        if last.epoch == self.log.last.epoch and base < self.log.last.offset:
            # Not trimmed, but with a hole, which would be met again and again.
            return await self._restart(afresh=True)
        log.warning("the log goes on at %s instead of %s", Position(last.epoch, base), self.log.last)
        self.log.restart(Position(last.epoch, base))
        self._in_doubt = False
        if self._subscriber is not None:
            self._subscriber.restarted()
        return None


def _following(position: Position) -> Position:
    return Position(position.epoch, position.offset + 1)


class ForeignEntryError(Exception):
    """Say that an entry of the stream was not written by a server of the deployment."""


def read(raw: tuple[str, dict[str, Any]]) -> Entry:
    """Return an entry of the stream, whose id is its offset.

    Raises:
        ForeignEntryError: when it is not ours.
    """
    identifier, fields = raw
    offset, _, rest = identifier.partition("-")
    try:
        if rest != "0":
            raise ValueError("ours end in -0")
        position = Position(fields["epoch"], int(offset))
        message = msgspec.json.decode(fields["message"], type=Message)
        transports = tuple(fields["transports"].split(","))
        sent_at = float(fields["sent_at"])
        return make_entry(message, fields["producer"], int(fields["seq"]), position, sent_at, transports)
    except (ValueError, LookupError, msgspec.MsgspecError) as error:
        raise ForeignEntryError(f"entry {identifier} is not ours: {one_line(error)}") from error
