"""Values in Redis that are taken once, by whichever server of the deployment is asked first."""

from __future__ import annotations

from rtdemo.engine.redis.client import REDIS_ERRORS, Keys, Redis, raise_if_cancelled
from rtdemo.errors import Unavailable, one_line

TAKE_SCRIPT = """
-- Return a value and delete it. Redis has the command GETDEL only since version 6.2.
-- KEYS: the value.
local value = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return value
"""


class RedisValues:
    """Keep values in Redis, which deletes those that nobody takes in time.

    Arguments:
        redis: the client.
        keys: the deployment's keys.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def put(self, name: str, value: str, seconds: float) -> None:
        """Keep a value under a name that is new.

        Raises:
            Unavailable: Redis cannot be reached, or refuses it.
        """
        try:
            await self._redis.set(self._keys.one_time_value(name), value, px=int(seconds * 1000))
        except REDIS_ERRORS as error:
            raise Unavailable(one_line(error)) from error
        raise_if_cancelled()

    async def take(self, name: str) -> str | None:
        """Return and forget a value; None if there is none any more.

        Raises:
            Unavailable: Redis cannot be reached, or refuses it.
        """
        try:
            value = await self._redis.eval(TAKE_SCRIPT, 1, self._keys.one_time_value(name))
        except REDIS_ERRORS as error:
            raise Unavailable(one_line(error)) from error
        raise_if_cancelled()
        return None if value is None else str(value)
