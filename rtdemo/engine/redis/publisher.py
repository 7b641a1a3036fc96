"""Publish through Redis: a bounded queue of messages, sent in order and each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from redis.exceptions import ResponseError

from rtdemo.engine.interface import IDEMPOTENCY_KEY_S, Draft, fingerprint
from rtdemo.engine.log import MAX_NUMBERED_PRODUCERS, Log
from rtdemo.engine.redis.client import READY, REDIS_ERRORS, Health, Keys, Redis, raise_if_cancelled
from rtdemo.errors import KeyReused, NotLeading, Unavailable, one_line
from rtdemo.protocol import message as messages
from rtdemo.protocol.message import Position, new_epoch

log = logging.getLogger(__name__)

MAX_WAITING = 1000
"""Publications that may wait for Redis."""
MAX_PER_ROUND_TRIP = 64
"""Publications that are sent to Redis in one round trip."""
UNREACHABLE_OFFSET = 2**53 - 1
"""An offset that no log reaches."""
Answer = asyncio.Future[list[Position]]
"""The result of a publication: the positions of its messages."""

PUBLISH_SCRIPT = """
-- Number messages and append them to the log, all or none. Without messages, begin a log if
-- there is none, and show whether Redis accepts writes.
-- Return {'ok', epoch, offset of the first message}; {'lead'} if the server does not lead; {'key'} if
-- the idempotency key was used with other messages.
-- KEYS: meta, numbers, log, leader, idempotency key, names, latest, latest names.
-- ARGV: 1 a new epoch; 2, 3 epoch and offset that the server has reached;
--       4 the server, if it must lead; 5 fingerprint of the messages, if there is a key;
--       6 ms for which the key is remembered;
--       7 to 10 limits of the log: messages, bytes, oldest time in ms, producers' names.
--       11 time in ms; 12 for each message a list of producer, JSON, transports, users or nothing,
--       as MessagePack: one argument is much cheaper than hundreds.
if ARGV[4] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[4] then return {'lead'} end
if ARGV[5] ~= '' then
  local known = redis.call('HMGET', KEYS[5], 'print', 'epoch', 'first')
  if known[1] == ARGV[5] then return {'ok', known[2], known[3]} end
  if known[1] then return {'key'} end
end
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local offset = tonumber(redis.call('HGET', KEYS[1], 'offset') or '0')
-- Redis was restored from an older state and would assign offsets a second time: begin a new log.
if not epoch or (epoch == ARGV[2] and offset < tonumber(ARGV[3])) then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[6], KEYS[7], KEYS[8])
  epoch, offset = ARGV[1], 0
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', 0, 'bytes', 0)
end
-- 'before' of an entry is the bytes of all messages that were published before it: what the log
-- has from it on is a difference, and need not be read.
local before = tonumber(redis.call('HGET', KEYS[1], 'published_bytes') or '0')
local first, bytes, newest, count_of, seq_of = offset + 1, 0, {}, {}, {}
local messages = cmsgpack.unpack(ARGV[12])
for _, message in ipairs(messages) do count_of[message[1]] = (count_of[message[1]] or 0) + 1 end
for name, count in pairs(count_of) do
  seq_of[name] = redis.call('HINCRBY', KEYS[2], name, count) - count
end
for _, message in ipairs(messages) do
  local name, json, transports, users = unpack(message)
  offset = offset + 1
  seq_of[name] = seq_of[name] + 1
  local fields = {'epoch', epoch, 'producer', name, 'seq', string.format('%d', seq_of[name]),
    'message', json, 'sent_at', ARGV[11], 'transports', transports,
    'before', string.format('%d', before + bytes)}
  bytes = bytes + #json
  if users ~= '' then
    fields[#fields + 1] = 'users'
    fields[#fields + 1] = users
  end
  redis.call('XADD', KEYS[3], string.format('%d-0', offset), unpack(fields))
  newest[name] = {string.format('%d-0', offset), fields, offset}
end
local kept = tonumber(redis.call('HGET', KEYS[1], 'latest_bytes') or '0')
for name, entry in pairs(newest) do
  local older = redis.call('HSTRLEN', KEYS[7], name)
  local encoded = cjson.encode({entry[1], entry[2]})
  redis.call('HSET', KEYS[7], name, encoded)
  redis.call('ZADD', KEYS[6], entry[3], name)
  redis.call('ZADD', KEYS[8], entry[3], name)
  kept = kept + #encoded - older
end
while redis.call('ZCARD', KEYS[8]) > 1 and
    (kept > tonumber(ARGV[8]) or redis.call('ZCARD', KEYS[8]) > tonumber(ARGV[10])) do
  local forgotten = redis.call('ZPOPMIN', KEYS[8])[1]
  kept = kept - redis.call('HSTRLEN', KEYS[7], forgotten)
  redis.call('HDEL', KEYS[7], forgotten)
end
redis.call('HSET', KEYS[1], 'latest_bytes', kept)
for _ = tonumber(ARGV[10]) + 1, redis.call('ZCARD', KEYS[6]) do
  local forgotten = redis.call('ZRANGE', KEYS[6], 0, 0)[1]
  redis.call('ZREM', KEYS[6], forgotten)
  redis.call('HDEL', KEYS[2], forgotten)
end
redis.call('HSET', KEYS[1], 'offset', string.format('%d', offset))
if offset >= first then
  local published = before + bytes
  redis.call('HSET', KEYS[1], 'published_bytes', string.format('%d', published))
  bytes = redis.call('HINCRBY', KEYS[1], 'bytes', bytes)
  local count, limit = redis.call('XLEN', KEYS[3]), tonumber(ARGV[7])
  if count > limit then
    local id = string.format('%d-0', offset - limit + 1)
    local stays = redis.call('XRANGE', KEYS[3], id, id)[1]
    for i = 1, stays and #stays[2] or 0, 2 do
      -- An entry of an older version has none: then the loop below removes what is too much.
      if stays[2][i] == 'before' then
        redis.call('XTRIM', KEYS[3], 'MAXLEN', limit)
        bytes, count = published - tonumber(stays[2][i + 1]), limit
      end
    end
  end
  local wanted, fits = 1, false
  while count > 1 and not fits do
    local old, entries = {}, redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', wanted)
    fits = #entries == 0
    for _, oldest in ipairs(entries) do
      local fields = {}
      for i = 1, #oldest[2], 2 do fields[oldest[2][i]] = oldest[2][i + 1] end
      fits = count <= 1 or (count <= tonumber(ARGV[7]) and bytes <= tonumber(ARGV[8])
        and tonumber(fields.sent_at) >= tonumber(ARGV[9]))
      if fits then break end
      old[#old + 1] = oldest[1]
      bytes = bytes - #fields.message
      count = count - 1
    end
    if #old > 0 then redis.call('XDEL', KEYS[3], unpack(old)) end
    wanted = math.min(wanted * 2, 64)
  end
  redis.call('HSET', KEYS[1], 'bytes', string.format('%d', bytes))
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[5], 'print', ARGV[5], 'epoch', epoch, 'first', first)
  redis.call('PEXPIRE', KEYS[5], ARGV[6])
end
return {'ok', epoch, first}
"""


class Publisher:
    """Sends publications to Redis in order, from one task.

    Arguments:
        redis: the client.
        keys: the deployment's keys.
        log: this server's copy of the log.
        server: this server's name, as in the lease.
        now: returns the time, in milliseconds since the Unix epoch.
        health: keeps whether Redis accepts writes.
        unavailable: called with the error when Redis cannot be reached.
        not_leading: called when Redis reports that another server leads.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        log: Log,
        server: str,
        now: Callable[[], float],
        health: Health,
        unavailable: Callable[[Exception], object],
        not_leading: Callable[[], object],
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._log = log
        self._server = server
        self._now = now
        self._health = health
        self._waiting: asyncio.Queue[Publication] = asyncio.Queue(MAX_WAITING)
        self._unavailable = unavailable
        self._not_leading = not_leading

    def put(self, drafts: Sequence[Draft], key: str, leading: bool) -> Answer:
        """Queue messages for Redis.

        Arguments:
            drafts: the messages, in order.
            key: an idempotency key, or nothing.
            leading: publish only if this server is the leader.

        Returns:
            A future of the positions. It has failed already if nothing can be published now.
        """
        answer: Answer = asyncio.get_running_loop().create_future()
        if self._health.state != READY:
            answer.set_exception(Unavailable(self._health.state))
        elif self._waiting.full():
            answer.set_exception(Unavailable(f"{MAX_WAITING} publications wait for redis; retry later"))
        else:
            self._waiting.put_nowait(Publication(drafts, key, leading, answer))
        return answer

    def fail_waiting(self, reason: str) -> None:
        """Fail every publication in the queue with `Unavailable`."""
        while not self._waiting.empty():
            _fail(self._waiting.get_nowait().answer, Unavailable(reason))

    async def run(self) -> None:
        """Send publications until cancelled."""
        while True:
            raise_if_cancelled()
            batch = [await self._waiting.get()]
            while len(batch) < MAX_PER_ROUND_TRIP and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                await self._send(batch)
            except REDIS_ERRORS as error:
                for publication in batch:
                    _fail(publication.answer, Unavailable(one_line(error)))
                self._unavailable(error)
            except Exception:
                # A bug. Only these messages fail; the task continues with the next ones.
                log.exception("publishing failed")
                for publication in batch:
                    _fail(publication.answer, Unavailable("internal server error; see the server log"))
            finally:
                for publication in batch:
                    _fail(publication.answer, Unavailable("the server is stopping"))

    async def ensure_epoch(self, afresh: bool = False) -> None:
        """Begin a new log if Redis has none, or has an older state of this server's log.

        Arguments:
            afresh: begin a new log also if the older state was continued, unless another server has
                begun a new one meanwhile.
        """
        reached = self._log.last
        if afresh:
            reached = Position(reached.epoch, UNREACHABLE_OFFSET)
        nothing = Publication([], "", False, asyncio.get_running_loop().create_future())
        await self._redis.eval(*self._command(nothing, reached))

    async def _send(self, batch: list[Publication]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for publication in batch:
            pipeline.eval(*self._command(publication, self._log.last))
        results = await pipeline.execute(raise_on_error=False)
        for publication, result in zip(batch, results, strict=True):
            if isinstance(result, ResponseError):
                self._health.write_refused(result)
                _fail(publication.answer, Unavailable(self._health.state))
            elif isinstance(result, Exception):
                _fail(publication.answer, Unavailable(one_line(result)))
            else:
                self._resolve(publication, result)

    def _resolve(self, publication: Publication, result: list[str]) -> None:
        if result[0] == "lead":
            self._not_leading()
            _fail(publication.answer, NotLeading())
        elif result[0] == "key":
            _fail(publication.answer, KeyReused())
        elif not publication.answer.done():
            epoch, first = result[1], int(result[2])
            offsets = range(first, first + len(publication.drafts))
            publication.answer.set_result([Position(epoch, offset) for offset in offsets])

    def _command(self, publication: Publication, reached: Position) -> tuple[str | bytes | float, ...]:
        keys, limits, now = self._keys, self._log.limits, self._now()
        names = (
            keys.meta,
            keys.numbers,
            keys.log,
            keys.leader,
            keys.idempotency(publication.key),
            keys.names,
            keys.latest,
            keys.latest_names,
        )
        leader = self._server if publication.leading else ""
        oldest = now - limits.seconds * 1000
        content = fingerprint(publication.drafts) if publication.key else ""
        head = (new_epoch(), *reached, leader, content, int(IDEMPOTENCY_KEY_S * 1000))
        bounds = (limits.count, limits.bytes, oldest, MAX_NUMBERED_PRODUCERS)
        packed = msgspec.msgpack.encode([_fields(draft) for draft in publication.drafts])
        return (PUBLISH_SCRIPT, len(names), *names, *head, *bounds, repr(now), packed)


@dataclass(frozen=True, slots=True)
class Publication:
    """Messages to publish together, and the future of their positions."""

    drafts: Sequence[Draft]
    key: str
    leading: bool
    answer: Answer


def _fields(draft: Draft) -> tuple[str, str, str, str]:
    # As texts: Redis does not read the type `bin` of MessagePack.
    users = "" if draft.users is None else msgspec.json.encode(sorted(draft.users)).decode()
    message = messages.encode(draft.message).decode()
    return draft.producer, message, ",".join(draft.transports), users


def _fail(answer: Answer, error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
