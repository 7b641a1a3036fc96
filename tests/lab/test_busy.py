"""A busy machine is noticed by its event loop, which is late."""

from __future__ import annotations

import asyncio
import time

from rtdemo.lab.busy import PERIOD_S, BusyWatch


async def test_blocked_loop_is_busy() -> None:
    """It cannot see when bytes arrive: here it is blocked for all of the time."""
    watch = BusyWatch()
    for _ in range(3):
        time.sleep(3 * PERIOD_S)  # noqa: ASYNC251 - blocks, as a busy machine does
        await asyncio.sleep(0)
    watch.stop()
    assert watch.is_busy
    assert watch.usual_delay_s > PERIOD_S


async def test_watch_that_was_just_started_is_not() -> None:
    watch = BusyWatch()
    watch.stop()
    assert not watch.is_busy
