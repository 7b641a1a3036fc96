"""Make the engine that the settings name."""

from __future__ import annotations

import logging

from rtdemo.engine.interface import Engine
from rtdemo.engine.log import LogLimits
from rtdemo.engine.memory import MemoryEngine
from rtdemo.errors import EngineError
from rtdemo.settings.settings import Settings

log = logging.getLogger(__name__)


async def load(settings: Settings) -> Engine:
    """Return the settings' engine with its log loaded.

    Raises:
        EngineError: when it cannot be reached or used, and is not optional.
    """
    limits = LogLimits(settings.history_count, settings.history_bytes, settings.history_seconds)
    if settings.engine != MemoryEngine.name:
        try:
            return await _load_redis(settings, limits)
        except EngineError as error:
            if not settings.engine_optional:
                raise
            log.warning("%s; shared messages stay on this server", error)
    return MemoryEngine(limits)


async def _load_redis(settings: Settings, limits: LogLimits) -> Engine:
    # Imported here, so that a server without Redis starts without its client.
    from rtdemo.engine.redis.engine import RedisEngine

    engine = RedisEngine(settings.engine, settings.redis_prefix, limits)
    try:
        await engine.load()
    except BaseException:
        await engine.close()
        raise
    return engine
