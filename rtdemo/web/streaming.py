"""Interrupt a handler from outside, so that it ends its connection in its transport's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from rtdemo.protocol.close_reasons import Reason


def interrupting(scope: asyncio.Timeout) -> Callable[[Reason], None]:
    """Return what ends the block of a scope at once; it does nothing where that was left already."""
    loop = asyncio.get_running_loop()

    def interrupt(_reason: Reason) -> None:
        with suppress(RuntimeError):
            scope.reschedule(loop.time())

    return interrupt
