"""Show how far a command is: one line that changes on a terminal, else a new line every few seconds."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from rich.console import Console
from rich.text import Text

TERMINAL_PERIOD_S, PIPE_PERIOD_S = 0.5, 5.0
"""Seconds between two looks at the progress."""

T = TypeVar("T")


def run_until_signal(work: Coroutine[Any, Any, T], progress: Callable[[], str]) -> T:
    """Run some work in an event loop, and show its progress; return its result.

    Arguments:
        work: to do.
        progress: as `with_progress` takes it.

    Raises:
        asyncio.CancelledError: after SIGTERM, which ends it as Ctrl-C does.
    """

    async def run() -> T:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await with_progress(task, progress, Console(stderr=True))

    return asyncio.run(run())


async def with_progress(work: Awaitable[T], progress: Callable[[], str], console: Console) -> T:
    """Show the progress of some work until it is done; return its result.

    Arguments:
        work: to wait for.
        progress: returns the progress in words; empty for nothing to show.
        console: of the standard error.
    """
    showing = asyncio.ensure_future(_show(progress, console))
    try:
        return await work
    finally:
        showing.cancel()


async def _show(progress: Callable[[], str], console: Console) -> None:
    if console.is_terminal:
        with console.status(Text(progress())) as status:
            while True:
                await asyncio.sleep(TERMINAL_PERIOD_S)
                status.update(Text(progress()))
    shown = ""
    while True:
        await asyncio.sleep(PIPE_PERIOD_S)
        words = progress()
        if words and words != shown:
            shown = words
            console.print(Text(f"rtdemo: {words}"), soft_wrap=True)
