"""Notice code that blocks the loop, also inside a coroutine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from time import perf_counter
from typing import Any


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
