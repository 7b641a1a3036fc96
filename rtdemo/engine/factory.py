"""Create the engine that the settings choose."""

from __future__ import annotations

import logging

from rtdemo.engine.interface import Engine
from rtdemo.engine.log import LogLimits
from rtdemo.engine.memory import MemoryEngine
from rtdemo.errors import EngineError
from rtdemo.settings.settings import Settings

log = logging.getLogger(__name__)


async def load(settings: Settings) -> Engine:
    """Return the engine of the settings, with its log loaded.

    Raises:
        EngineError: if the engine cannot be reached or used, and is not optional.
    """
    limits = LogLimits(settings.history_count, settings.history_bytes, settings.history_seconds)
    if settings.engine != MemoryEngine.name:
        try:
            return await _load_redis(settings, limits)
        except EngineError as error:
            if not settings.engine_optional:
                raise
            log.warning("%s; shared messages are kept in this server's memory only", error)
    return MemoryEngine(limits)


async def _load_redis(settings: Settings, limits: LogLimits) -> Engine:
    # Imported here, so that a server without Redis does not load the Redis client.
    from rtdemo.engine.redis.engine import RedisEngine

    engine = RedisEngine(settings.engine, settings.redis_prefix, limits)
    try:
        await engine.load()
    except BaseException:
        await engine.close()
        raise
    return engine
