"""Measure how late the event loop runs, and how long one coroutine blocks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from time import perf_counter
from typing import Any

from rtdemo.timing.histogram import Histogram

SAMPLE_INTERVAL_S = 0.5
"""Seconds between two samples: often enough to notice what blocks, at two wake-ups a second."""


class LoopLag:
    """Lag of the event loop, sampled by a timer.

    Attributes:
        lag: histogram of the seconds between the timer's due time and its callback.
    """

    def __init__(self) -> None:
        self.lag = Histogram()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start to sample the running loop."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() + SAMPLE_INTERVAL_S
        self._timer = loop.call_at(self._due, self._sample)

    def stop(self) -> None:
        """Stop sampling."""
        if self._timer is not None:
            self._timer.cancel()

    def _sample(self) -> None:
        self.lag.record(asyncio.get_running_loop().time() - self._due)
        self.start()


class StepTimer:
    """Awaitable that runs a coroutine and measures how long each of its steps blocks the loop.

    A step is the code between two points at which the coroutine waits.

    Arguments:
        coroutine: the coroutine to run.
        report: called with the seconds of each step.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], report: Callable[[float], object]) -> None:
        self._coroutine = coroutine
        self._report = report

    def __await__(self) -> Generator[Any, Any, Any]:
        """Run the coroutine as a task would."""
        step = partial(self._coroutine.send, None)
        try:
            while True:
                started = perf_counter()
                try:
                    waiting_for = step()
                except StopIteration as done:
                    return done.value
                finally:
                    self._report(perf_counter() - started)
                try:
                    sent = yield waiting_for
                    step = partial(self._coroutine.send, sent)
                except BaseException as thrown:
                    step = partial(self._coroutine.throw, thrown)
        finally:
            self._coroutine.close()
