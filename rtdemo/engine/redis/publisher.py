"""Queue messages for Redis and hand them over in order, each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.exceptions import ResponseError

from rtdemo.engine.interface import IDEMPOTENCY_KEY_S, Draft, fingerprint
from rtdemo.engine.log import MAX_NUMBERED_PRODUCERS, Log
from rtdemo.engine.redis.client import FAULTS, READY, Health, Keys, Redis, raise_if_cancelled
from rtdemo.errors import KeyReused, NotLeading, Unavailable, one_line
from rtdemo.protocol import message as messages
from rtdemo.protocol.message import Position, new_epoch

PUBLISH = """
-- Number messages and append them, all or none; of none it is seen whether Redis takes writes.
-- KEYS: meta, numbers, log, leader, idempotency key, names by when they last published
-- ARGV: 1 a fresh epoch, 2 and 3 the epoch and offset that the caller has reached,
--       4 the caller where it must lead, 5 what the key came with, 6 ms for which the key holds,
--       7 to 10 bounds: messages, bytes, oldest ms, names; then four a message:
--       producer, JSON, ms at which it is sent, transports.
if ARGV[4] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[4] then return {'lead'} end
if ARGV[5] ~= '' then
  local known = redis.call('HMGET', KEYS[5], 'print', 'epoch', 'first')
  if known[1] == ARGV[5] then return {'ok', known[2], known[3]} end
  if known[1] then return {'key'} end
end
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local offset = tonumber(redis.call('HGET', KEYS[1], 'offset') or '0')
-- Restored from an older state, Redis would give offsets a second time.
if not epoch or (epoch == ARGV[2] and offset < tonumber(ARGV[3])) then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[6])
  epoch, offset = ARGV[1], 0
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', 0, 'bytes', 0)
end
local first, bytes = offset + 1, 0
for at = 11, #ARGV, 4 do
  offset = offset + 1
  local seq = redis.call('HINCRBY', KEYS[2], ARGV[at], 1)
  redis.call('ZADD', KEYS[6], offset, ARGV[at])
  bytes = bytes + #ARGV[at + 1]
  redis.call('XADD', KEYS[3], string.format('%d-0', offset), 'epoch', epoch, 'producer', ARGV[at],
    'seq', seq, 'message', ARGV[at + 1], 'sent_at', ARGV[at + 2], 'transports', ARGV[at + 3])
end
for _ = tonumber(ARGV[10]) + 1, redis.call('ZCARD', KEYS[6]) do
  local forgotten = redis.call('ZRANGE', KEYS[6], 0, 0)[1]
  redis.call('ZREM', KEYS[6], forgotten)
  redis.call('HDEL', KEYS[2], forgotten)
end
redis.call('HSET', KEYS[1], 'offset', string.format('%d', offset))
if offset >= first then
  bytes = redis.call('HINCRBY', KEYS[1], 'bytes', bytes)
  local count = redis.call('XLEN', KEYS[3])
  while count > 1 do
    local oldest = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1]
    local fields = {}
    for i = 1, #oldest[2], 2 do fields[oldest[2][i]] = oldest[2][i + 1] end
    if count <= tonumber(ARGV[7]) and bytes <= tonumber(ARGV[8])
      and tonumber(fields.sent_at) >= tonumber(ARGV[9]) then break end
    redis.call('XDEL', KEYS[3], oldest[1])
    bytes = redis.call('HINCRBY', KEYS[1], 'bytes', -#fields.message)
    count = count - 1
  end
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[5], 'print', ARGV[5], 'epoch', epoch, 'first', first)
  redis.call('PEXPIRE', KEYS[5], ARGV[6])
end
return {'ok', epoch, first}
"""
log = logging.getLogger(__name__)
WAITING = 1000
"""Publications that may wait for Redis; each has 64 KiB at the most."""
TOGETHER = 64
"""Publications that go in one round trip."""
UNREACHED = 2**53 - 1
"""An offset that no log has."""
Answer = asyncio.Future[list[Position]]


@dataclass(frozen=True, slots=True)
class Publication:
    """Hold messages on their way, and the future that is told of their positions."""

    drafts: Sequence[Draft]
    key: str
    leading: bool
    answer: Answer


class Publisher:
    """Hand publications to Redis, in order, by one task.

    Arguments:
        redis: whose log it is.
        keys: its names there.
        log: this server's copy.
        server: this server's name, as in the lease.
        now: milliseconds since the epoch.
        health: told whether Redis takes what is written.
        away: called with the error when Redis cannot be reached.
        refused: called when Redis says that another server leads.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        log: Log,
        server: str,
        now: Callable[[], float],
        health: Health,
        away: Callable[[Exception], object],
        refused: Callable[[], object],
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._log = log
        self._server = server
        self._now = now
        self._health = health
        self._waiting: asyncio.Queue[Publication] = asyncio.Queue(WAITING)
        self._away = away
        self._refused = refused

    def put(self, drafts: Sequence[Draft], key: str, leading: bool) -> Answer:
        """Queue messages; where nothing can be published, the answer has failed already."""
        answer: Answer = asyncio.get_running_loop().create_future()
        if self._health.state != READY:
            answer.set_exception(Unavailable(self._health.state))
        elif self._waiting.full():
            answer.set_exception(Unavailable(f"{WAITING} publications wait for redis"))
        else:
            self._waiting.put_nowait(Publication(drafts, key, leading, answer))
        return answer

    def fail(self, why: str) -> None:
        """Give up on all that waits."""
        while not self._waiting.empty():
            _fail(self._waiting.get_nowait().answer, Unavailable(why))

    async def work(self) -> None:
        """Hand over until cancelled."""
        while True:
            raise_if_cancelled()
            together = [await self._waiting.get()]
            while len(together) < TOGETHER and not self._waiting.empty():
                together.append(self._waiting.get_nowait())
            try:
                await self._hand_over(together)
            except FAULTS as error:
                for publication in together:
                    _fail(publication.answer, Unavailable(one_line(error)))
                self._away(error)
            except Exception:
                # A bug costs these messages, not all that are still to come.
                log.exception("publishing failed")
                for publication in together:
                    _fail(publication.answer, Unavailable("the server failed; its log says why"))
            finally:
                for publication in together:
                    _fail(publication.answer, Unavailable("the server is stopping"))

    async def ensure_epoch(self, afresh: bool = False) -> None:
        """Begin a log where Redis has none, or only an older state of ours.

        Arguments:
            afresh: also where it has gone on from there, if nobody has begun a new one meanwhile.
        """
        reached = self._log.last
        if afresh:
            reached = Position(reached.epoch, UNREACHED)
        nothing = Publication([], "", False, asyncio.get_running_loop().create_future())
        await self._redis.eval(*self._command(nothing, reached))

    async def _hand_over(self, together: list[Publication]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for publication in together:
            pipeline.eval(*self._command(publication, self._log.last))
        results = await pipeline.execute(raise_on_error=False)
        for publication, result in zip(together, results, strict=True):
            if isinstance(result, ResponseError):
                self._health.refused(result)
                _fail(publication.answer, Unavailable(self._health.state))
            elif isinstance(result, Exception):
                _fail(publication.answer, Unavailable(one_line(result)))
            else:
                self._settle(publication, result)

    def _settle(self, publication: Publication, result: list[str]) -> None:
        if result[0] == "lead":
            self._refused()
            _fail(publication.answer, NotLeading())
        elif result[0] == "key":
            _fail(publication.answer, KeyReused())
        elif not publication.answer.done():
            epoch, first = result[1], int(result[2])
            offsets = range(first, first + len(publication.drafts))
            publication.answer.set_result([Position(epoch, offset) for offset in offsets])

    def _command(self, publication: Publication, reached: Position) -> tuple[str | int | float, ...]:
        keys, limits, now = self._keys, self._log.limits, self._now()
        names = (
            keys.meta,
            keys.numbers,
            keys.log,
            keys.leader,
            keys.idempotency(publication.key),
            keys.names,
        )
        who = self._server if publication.leading else ""
        oldest = now - limits.seconds * 1000
        what = fingerprint(publication.drafts) if publication.key else ""
        head = (new_epoch(), *reached, who, what, int(IDEMPOTENCY_KEY_S * 1000))
        bounds = (limits.count, limits.bytes, oldest, MAX_NUMBERED_PRODUCERS)
        flat: list[str | int | float] = []
        for draft in publication.drafts:
            message = messages.encode(draft.message).decode()
            flat += [draft.producer, message, repr(now), ",".join(draft.transports)]
        return (PUBLISH, len(names), *names, *head, *bounds, *flat)


def _fail(answer: Answer, error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
