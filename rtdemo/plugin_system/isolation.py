"""Run blocking functions in a few threads that never hold up the process's end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

MAX_WAITING = 1000
"""Functions that may wait for a thread; one more is refused."""
Job = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Threads:
    """Keep up to `limit` daemon threads, started as they are needed.

    Not a `ThreadPoolExecutor`: the interpreter waits for its threads at exit, so that one producer
    that hangs would keep the whole server from stopping.

    Arguments:
        limit: how many functions may run at once; the others wait in a queue.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._started = 0
        self._busy = 0

    def run(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Call a function in a thread; the future has what it returns or raises.

        Raises:
            RuntimeError: when too many wait already, as they do behind functions that hang.
        """
        if self._busy >= self._limit + MAX_WAITING:
            raise RuntimeError(f"{MAX_WAITING} runs wait for a thread already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._busy += 1
        if self._busy > self._started and self._started < self._limit:
            self._started += 1
            threading.Thread(target=self._work, name="rtdemo producer", daemon=True).start()
        self._jobs.put((function, arguments, future, loop))
        return future

    def close(self) -> None:
        """Let every thread end after what it does now."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, arguments, future, loop = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = function(*arguments)
            except BaseException as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(self._done, future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

    def _done(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._busy -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            future.set_exception(error)
        else:
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))


def raise_if_stopped(error: BaseException) -> None:
    """Raise an error again where it means that the code is to stop, not that it failed by itself.

    A plugin may raise anything: `SystemExit` and a `CancelledError` that nobody asked for are
    failures of the plugin like any other, and end neither the server nor a connection.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
    if cancelled or isinstance(error, GeneratorExit):
        raise error
