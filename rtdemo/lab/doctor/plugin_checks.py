"""Run the checks of plugins, which may raise, block, or return anything."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, get_args

from rtdemo.errors import one_line
from rtdemo.plugin_system.checks import Check, Finding, Verdict
from rtdemo.plugin_system.isolation import Threads, raise_if_cancelled

PLUGIN_CHECK_TIMEOUT_S = 30.0
"""Seconds for a check of a plugin."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


async def run_plugin_check(check: Check, url: str) -> Finding:
    """Return the finding of a plugin's check; an exception or a time-out is a failed check.

    Arguments:
        check: the plugin's check.
        url: origin of the server, such as `https://example.org`.
    """
    # In a daemon thread, sync or async: a check that hangs cannot keep this program from ending.
    thread = Threads(1)
    try:
        async with asyncio.timeout(PLUGIN_CHECK_TIMEOUT_S) as limit:
            found = await thread.run(_call, check, url)
    except BaseException as error:
        raise_if_cancelled(error)
        if limit.expired():
            return Finding("fail", f"did not finish in {PLUGIN_CHECK_TIMEOUT_S:g} s")
        return Finding("fail", one_line(error))
    finally:
        thread.close()
    if isinstance(found, Finding) and found.verdict in VERDICTS:
        return found
    name = type(found).__name__
    return Finding("fail", f"returned {name}; return a Finding with verdict ok, warn or fail")


def _call(check: Check, url: str) -> Any:
    found = check.run(url)
    return asyncio.run(_await(found)) if inspect.isawaitable(found) else found


async def _await(awaitable: Any) -> Any:
    return await awaitable
