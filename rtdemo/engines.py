"""Choose the engine that the settings name."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rtdemo.engine.interface import Engine
from rtdemo.engine.log import Limits
from rtdemo.engine.memory import MemoryEngine
from rtdemo.errors import EngineError
from rtdemo.hub import Hub
from rtdemo.settings import Settings

log = logging.getLogger(__name__)

MakeHub = Callable[[Engine], Hub]


async def open_hub(settings: Settings, make: MakeHub) -> Hub:
    """Return a hub that follows the log of the settings' engine.

    Raises:
        EngineError: when that cannot be reached or used, and is not optional.
    """
    limits = Limits(settings.history_count, settings.history_bytes, settings.history_seconds)
    if settings.engine != MemoryEngine.name:
        try:
            return await _by_redis(settings, limits, make)
        except EngineError as error:
            if not settings.engine_optional:
                raise
            log.warning("%s; shared messages stay on this server", error)
    hub = make(MemoryEngine(limits))
    await hub.open()
    return hub


async def _by_redis(settings: Settings, limits: Limits, make: MakeHub) -> Hub:
    # Only who wants Redis waits for its client's import.
    from rtdemo.engine.redis import RedisEngine

    engine = RedisEngine(settings.engine, settings.redis_prefix, limits)
    try:
        await engine.reach()
        hub = make(engine)
        await hub.open()
    except BaseException:
        await engine.close()
        raise
    return hub
