"""The clock of a loop that takes no pause of the machine for time."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.pauseless_loop import LONGEST_STEP_S, PauselessLoop


async def is_over_after(paused_s: float, limit_s: float) -> bool:
    """Return whether a time limit is over after a pause of the whole process."""
    try:
        async with asyncio.timeout(limit_s):
            time.sleep(paused_s)  # noqa: ASYNC251 - it is the pause
            for _ in range(5):
                await asyncio.sleep(0)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize("limit_s", [0.4, 10.0])
def test_pause_ends_no_time_limit(limit_s: float) -> None:
    """Only the longest step of it counts, less than the limits."""
    assert LONGEST_STEP_S < 0.2
    with asyncio.Runner(loop_factory=PauselessLoop) as runner:
        assert not runner.run(is_over_after(0.5, limit_s))
    with asyncio.Runner() as runner:
        assert runner.run(is_over_after(0.5, limit_s)) == (limit_s < 0.5)


def test_time_that_is_waited_for_counts() -> None:
    """A wait of several steps ends, and not before its time."""
    began = time.monotonic()
    with asyncio.Runner(loop_factory=PauselessLoop) as runner:
        runner.run(asyncio.sleep(0.3))
    assert time.monotonic() - began >= 0.3
