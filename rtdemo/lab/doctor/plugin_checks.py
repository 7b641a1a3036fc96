"""Make the checks that plugins add, each apart from the others and from this program."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from rtdemo.checks import Check, Finding
from rtdemo.guard import one_line, raise_if_stopped
from rtdemo.threads import Threads

LIMIT = 30.0
"""Seconds that a check of a plugin may take."""
VERDICTS = ("ok", "warn", "fail")


async def make(check: Check, url: str) -> Finding:
    """Return what a plugin's check found; what it raises, or that it hangs, is a failed check."""
    # In a daemon thread, async or not: one that hangs keeps nothing else from its end.
    thread = Threads(1)
    try:
        async with asyncio.timeout(LIMIT) as limit:
            found = await thread.run(_run, check, url)
    except BaseException as error:
        raise_if_stopped(error)
        if limit.expired():
            return Finding("fail", f"came to no end in {LIMIT:g} s")
        return Finding("fail", one_line(error))
    finally:
        thread.close()
    if isinstance(found, Finding) and found.verdict in VERDICTS:
        return found
    return Finding(
        "fail", f"returned {type(found).__name__}; a check returns a Finding, ok, warn or fail"
    )


def _run(check: Check, url: str) -> Any:
    found = check.run(url)
    return asyncio.run(_awaited(found)) if inspect.isawaitable(found) else found


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
