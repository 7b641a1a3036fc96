"""Run a command of the tests until it is done, or a signal ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

INTERRUPTED = 130
"""Exit code of a program that SIGINT has ended."""


def run(work: Coroutine[Any, Any, int]) -> int:
    """Return the exit code of some work; SIGINT and SIGTERM cancel it, so that it can clean up."""

    async def until_signal() -> int:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return INTERRUPTED

    return asyncio.run(until_signal())
