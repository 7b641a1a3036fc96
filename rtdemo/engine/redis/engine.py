"""The Redis engine: one Redis stream is the log of several servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from random import uniform
from secrets import token_hex
from typing import Any

import msgspec

from rtdemo.engine.delivery import Delivery
from rtdemo.engine.interface import Draft, Subscriber
from rtdemo.engine.log import Entry, Log, LogLimits, make_entry
from rtdemo.engine.one_time_values import OneTimeValues
from rtdemo.engine.redis import client
from rtdemo.engine.redis.client import READY, Health
from rtdemo.engine.redis.lease import Lease
from rtdemo.engine.redis.one_time_values import RedisValues
from rtdemo.engine.redis.publisher import Publisher
from rtdemo.errors import one_line
from rtdemo.protocol import message as messages
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.protocol.message import Message, Position

log = logging.getLogger(__name__)

ENTRIES_PER_READ = 500
"""Largest number of entries in one answer of Redis."""
READ_BLOCK_S = 1.0
"""Longest blocking read in seconds. Before each read the reader checks that the log is the same."""
ENTRIES_PER_TURN = 32
"""Entries that are decoded and delivered before other tasks of the event loop run."""
FIRST_RETRY_S = 0.1
"""Delay in seconds before the first retry to reach Redis. Each further retry doubles it."""
MAX_RETRY_S = 5.0
"""Longest delay before a retry, in seconds."""


class RedisEngine:
    """Engine of several servers: Redis numbers the messages, and each server follows the stream.

    Each server keeps a copy of the newest messages. History is read from the copy, so reconnecting
    clients cause no load on Redis. The id of a stream entry is its offset.

    Three tasks run from `follow` to `close`: the reader, the publisher and the lease. The blocking
    read and the lease have connections of their own: a blocked read must not delay other commands,
    and other commands must not delay a renewal.

    Arguments:
        url: `redis://`, `rediss://` or `unix://`.
        prefix: prefix of every key. Deployments that share one Redis need different prefixes.
        limits: bounds of the log, in Redis and in the copy.
        now: returns the time, in milliseconds since the Unix epoch.
        server: this server's name; by default a random one.

    Attributes:
        lease: whether this server leads, and which servers are running.
        tasks: the running tasks, by name: `reader`, `publisher` and `lease`.
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
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._url = url
        self._keys = keys = client.Keys(prefix)
        self._commands = client.connect(url)
        self._blocking = client.connect(url, READ_BLOCK_S + client.COMMAND_TIMEOUT_S)
        self._renewing = client.connect(url)
        self._health = health = Health()
        self._subscriber: Subscriber | None = None
        self._delivery = Delivery(self.log)
        # After an error this may be another Redis, or one that was restored from an older state.
        self._in_doubt = False
        self.lease = Lease(self._renewing, keys, self.server, self._lead, self._presence, health)
        self.one_time_values: OneTimeValues = RedisValues(self._commands, keys)
        self._publisher = Publisher(
            self._commands,
            keys,
            self.log,
            self.server,
            now,
            health,
            unavailable=self._unavailable,
            not_leading=partial(self.lease.set_leading, False),
        )

    @property
    def state(self) -> str:
        """`ready`, or why nothing can be published."""
        return self._health.state

    @property
    def servers(self) -> Mapping[str, Mapping[str, Any]]:
        """The presence that each running server reported, by the server's name; up to 2 s old."""
        return self.lease.servers

    async def check(self) -> None:
        """Check that Redis can be reached and used.

        Raises:
            EngineError: if Redis cannot be reached or used.
        """
        await client.check_server(self._commands, self._url)

    async def load(self) -> None:
        """Check Redis, and copy the newest messages into `log`.

        Raises:
            EngineError: if Redis cannot be reached or used.
        """
        await self.check()
        try:
            await self._load()
        except client.REDIS_ERRORS as error:
            raise client.start_error(self._url, error) from error

    def follow(self, subscriber: Subscriber) -> None:
        """Report every new entry to a subscriber, from the end of the loaded log until `close`."""
        self._subscriber = self._delivery.subscriber = subscriber
        self._health.read_succeeded()
        self.tasks["reader"] = asyncio.ensure_future(self.run_reader())
        self.tasks["publisher"] = asyncio.ensure_future(self._publisher.run())
        self.tasks["lease"] = asyncio.ensure_future(self.lease.run())

    def publish(
        self, drafts: Sequence[Draft], key: str = "", leading: bool = False
    ) -> asyncio.Future[list[Position]]:
        """Queue messages for Redis. They are delivered once the reader has read them from the stream."""
        return self._publisher.put(drafts, key, leading)

    async def close(self) -> None:
        """Stop the tasks, release the lease and close the connections."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self._publisher.fail_waiting("the server is stopping")
        if self.tasks and self.state == READY:
            await self.lease.release()
        self.tasks.clear()
        self._health.read_problem = "closed"
        for redis in (self._commands, self._blocking, self._renewing):
            with suppress(*client.REDIS_ERRORS):
                await redis.aclose()

    def _lead(self, leading: bool) -> None:
        if self._subscriber is not None:
            self._subscriber.lead(leading)

    def _presence(self) -> Mapping[str, object]:
        return self._subscriber.presence() if self._subscriber is not None else {}

    def _unavailable(self, error: Exception) -> None:
        self._health.read_failed(f"redis is unavailable: {one_line(error)}")
        self._publisher.fail_waiting(self.state)

    async def _end_of_log(self) -> Position:
        epoch, offset = await self._commands.hmget(self._keys.meta, ["epoch", "offset"])
        return Position(epoch or "", int(offset or 0))

    async def _load(self) -> None:
        """Copy the log from Redis. Meanwhile other servers may publish, and Redis may trim the log."""
        await self._publisher.ensure_epoch()
        while True:
            try:
                return await self._copy()
            except ForeignEntryError as error:
                log.warning("%s; beginning a new log", error)
                await self._publisher.ensure_epoch(afresh=True)

    async def _copy(self) -> None:
        end = await self._end_of_log()
        await self._restart_copy(end)
        copied = 0
        # Others may publish faster than this loop reads; the reader reads the rest.
        while copied < end.offset:
            raw = await self._commands.xrange(self._keys.log, f"{copied + 1}-0", count=ENTRIES_PER_READ)
            if not raw:
                break
            for entry in map(_decode_entry, raw):
                if entry.position != _next(self.log.last):
                    before = Position(entry.position.epoch, entry.position.offset - 1)
                    await self._restart_copy(before)
                self.log.append(entry)
            copied = self.log.last.offset

    async def _restart_copy(self, start: Position) -> None:
        """Continue the copy after a position, with the producers' numbers and newest entries to it."""
        numbers = await self._commands.hgetall(self._keys.numbers)
        latest = await self._latest()
        self.log.restart(start)
        for name, seq in numbers.items():
            self.log.set_seq(name, int(seq))
        for entry in sorted(latest, key=lambda entry: entry.position):
            # Those behind the start are in the stream.
            if entry.position.epoch == start.epoch and entry.position.offset <= start.offset:
                self.log.set_latest(entry)

    async def _latest(self) -> list[Entry]:
        """Return the newest entry of each producer, also of those that the log has dropped."""
        entries = []
        for text in await self._commands.hvals(self._keys.latest):
            try:
                identifier, fields = msgspec.json.decode(text, type=tuple[str, list[str]])
                named = dict(zip(fields[::2], fields[1::2], strict=True))
                entries.append(_decode_entry((identifier, named)))
            except (ValueError, msgspec.MsgspecError, ForeignEntryError) as error:
                log.warning("a latest message in redis is not from rtdemo: %s", one_line(error))
        return entries

    async def run_reader(self) -> None:
        """Follow the stream until cancelled; the task `reader` runs it."""
        delay = FIRST_RETRY_S
        while True:
            client.raise_if_cancelled()
            try:
                await self._read_or_restart()
                self._health.read_succeeded()
                delay = FIRST_RETRY_S
            except client.REDIS_ERRORS as error:
                self._in_doubt = True
                self._unavailable(error)
                await asyncio.sleep(uniform(delay / 2, delay))
                delay = min(delay * 2, MAX_RETRY_S)
            except Exception as error:
                # A bug. Retry, because nothing else would read the log.
                log.exception("reading the log failed; retrying")
                self._health.read_failed(f"the log cannot be read: {one_line(error)}")
                await asyncio.sleep(MAX_RETRY_S)

    async def _read_or_restart(self) -> None:
        try:
            await self._read()
        except ForeignEntryError as error:
            log.warning("%s", error)
            await self._restart(afresh=True)

    async def _read(self) -> None:
        # Checked before the blocking read: Redis may have another log, with the same offsets.
        end = await self._end_of_log()
        if end.epoch != self.log.last.epoch or end.offset < self.log.last.offset:
            return await self._restart()
        if self._in_doubt and not await self._has_newest_entry():
            # Redis was restored from an older state and has assigned offsets a second time.
            return await self._restart(afresh=True)
        self._in_doubt = False
        if self._subscriber is not None:
            self._subscriber.end_checked(end)
        position = {self._keys.log: f"{self.log.last.offset}-0"}
        block_ms = int(READ_BLOCK_S * 1000)
        answer = await self._blocking.xread(position, count=ENTRIES_PER_READ, block=block_ms)
        raw = answer[0][1] if answer else []
        if not raw and end.offset > self.log.last.offset:
            return await self._restart()
        if not await self._append(raw):
            return await self._restart()
        return None

    async def _append(self, raw: Sequence[tuple[str, dict[str, Any]]]) -> bool:
        """Append and deliver entries of the stream; return False at one that does not follow."""
        for start in range(0, len(raw), ENTRIES_PER_TURN):
            try:
                for entry in map(_decode_entry, raw[start : start + ENTRIES_PER_TURN]):
                    if entry.position != _next(self.log.last):
                        return False
                    self._delivery.append(entry)
            finally:
                self._delivery.deliver()
            await asyncio.sleep(0)
        return True

    async def _has_newest_entry(self) -> bool:
        """Return whether Redis has the newest entry of this copy unchanged, or has trimmed it."""
        newest = self.log.newest
        if newest is None:
            return True
        identifier = f"{newest.position.offset}-0"
        raw = await self._commands.xrange(self._keys.log, identifier, identifier)
        return not raw or _decode_entry(raw[0]) == newest

    async def _restart(self, afresh: bool = False) -> None:
        """Continue with the log that Redis has now. Entries before its start are lost to this server.

        The first entries are read together with the start. If they were read later, a busy log could
        have dropped them, at every restart.

        Arguments:
            afresh: begin a new log in Redis first, unless another server has done so.
        """
        await self._publisher.ensure_epoch(afresh)
        end = await self._end_of_log()
        raw = await self._commands.xrange(self._keys.log, count=ENTRIES_PER_READ)
        before_oldest = int(raw[0][0].partition("-")[0]) - 1 if raw else end.offset
        if end.epoch == self.log.last.epoch and before_oldest < self.log.last.offset:
            # The log was not trimmed, so it has a gap. Begin a new log: every reader would meet the gap.
            return await self._restart(afresh=True)
        start = Position(end.epoch, before_oldest)
        log.warning("the log continues at %s instead of %s", start, self.log.last)
        await self._restart_copy(start)
        self._in_doubt = False
        if self._subscriber is not None:
            self._subscriber.restarted()
        # An entry that does not follow, or is foreign, is handled by the next read.
        with suppress(ForeignEntryError):
            await self._append(raw)
        return None


class ForeignEntryError(Exception):
    """An entry of the stream was not written by a server of the deployment."""


def _decode_entry(raw: tuple[str, dict[str, Any]]) -> Entry:
    """Return a stream entry as an entry of the log.

    Arguments:
        raw: the entry's id and its fields, as redis-py returns them.

    Raises:
        ForeignEntryError: if no server of the deployment has written it.
    """
    identifier, fields = raw
    offset, _, sequence = identifier.partition("-")
    try:
        if sequence != "0":
            raise ValueError("its id does not end in -0")
        position = Position(fields["epoch"], int(offset))
        message = _decode_message(fields["message"])
        transports = _transports(fields["transports"])
        sent_at = float(fields["sent_at"])
        users = _users(fields.get("users", ""))
        return make_entry(
            message, fields["producer"], int(fields["seq"]), position, sent_at, transports, users
        )
    except (ValueError, LookupError, msgspec.MsgspecError) as error:
        raise ForeignEntryError(
            f"stream entry {identifier} is not from rtdemo: {one_line(error)}"
        ) from error


_decode_message = msgspec.json.Decoder(Message).decode


@lru_cache(16)
def _transports(names: str) -> tuple[Transport, ...]:
    known: dict[str, Transport] = {name: name for name in TRANSPORTS}
    return tuple(known[name] for name in names.split(","))


def _users(names: str) -> frozenset[str] | None:
    return frozenset(msgspec.json.decode(names, type=list[str])) if names else None


def _next(position: Position) -> Position:
    return Position(position.epoch, position.offset + 1)
