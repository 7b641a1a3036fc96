"""Choose the engine that the settings name."""

from __future__ import annotations

import logging

from rtdemo.engine.interface import Engine
from rtdemo.engine.log import Limits
from rtdemo.engine.memory import MemoryEngine
from rtdemo.errors import EngineError
from rtdemo.settings import Settings

log = logging.getLogger(__name__)


async def create(settings: Settings) -> Engine:
    """Return the engine, once it was seen that it can be reached.

    Raises:
        EngineError: when it cannot, and is not optional.
    """
    limits = Limits(settings.history_count, settings.history_bytes, settings.history_seconds)
    if settings.engine == MemoryEngine.name:
        return MemoryEngine(limits)
    # Only who wants Redis waits for its client's import.
    from rtdemo.engine.redis import RedisEngine

    try:
        engine = RedisEngine(settings.engine, settings.redis_prefix, limits)
        await engine.reach()
    except EngineError as error:
        if not settings.engine_optional:
            raise
        log.warning("%s; shared messages stay on this server", error)
        return MemoryEngine(limits)
    return engine
