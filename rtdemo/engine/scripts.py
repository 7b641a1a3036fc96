"""Hold what Redis does in one step (Lua)."""

from __future__ import annotations

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

LEASE = """
-- Take or renew the lease. KEYS: leader; ARGV: who, ms. Returns 1 to who leads.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

RELEASE = """
-- Give the lease up, and be gone from the list. KEYS: leader, servers, seen; ARGV: who.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
"""

PRESENCE = """
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
