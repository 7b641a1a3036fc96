"""Choose the engine that the settings name."""

from __future__ import annotations

from rtdemo.engine.interface import Engine
from rtdemo.engine.log import Limits
from rtdemo.engine.memory import MemoryEngine
from rtdemo.settings import Settings


def create(settings: Settings) -> Engine:
    """Return the engine, not yet in touch with anything."""
    limits = Limits(settings.history_count, settings.history_bytes, settings.history_seconds)
    return MemoryEngine(limits)
