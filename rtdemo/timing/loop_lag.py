"""Measure how late the event loop is: what everyone waits for when something blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from time import perf_counter
from typing import Any

from rtdemo.timing.histogram import Histogram

PERIOD = 0.5
"""Seconds between two looks: often enough to meet what blocks, at 2 wake-ups a second."""


class LoopLag:
    """Look at fixed intervals how late a timer fires.

    Attributes:
        lag: seconds between the instant at which the timer was due and its call.
    """

    def __init__(self) -> None:
        self.lag = Histogram()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() + PERIOD
        self._timer = loop.call_at(self._due, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self.lag.record(asyncio.get_running_loop().time() - self._due)
        self.start()


class Timed:
    """Await a coroutine and tell how long each of its steps kept the loop.

    Arguments:
        coroutine: what to await.
        note: takes the seconds of each step that ran without giving the loop its turn.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], note: Callable[[float], object]) -> None:
        self._coroutine = coroutine
        self._note = note

    def __await__(self) -> Generator[Any, Any, Any]:
        """Drive the coroutine as a task would."""
        step = partial(self._coroutine.send, None)
        try:
            while True:
                started = perf_counter()
                try:
                    waiting_for = step()
                except StopIteration as done:
                    return done.value
                finally:
                    self._note(perf_counter() - started)
                try:
                    sent = yield waiting_for
                    step = partial(self._coroutine.send, sent)
                except BaseException as thrown:
                    step = partial(self._coroutine.throw, thrown)
        finally:
            self._coroutine.close()
