"""Isolate plugins: run blocking functions in threads, and let only a real cancellation stop a task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

MAX_QUEUED_JOBS = 1000
"""Functions that may wait for a thread of one `Threads`; a further one is refused."""
FAILURES_PER_TRACEBACK = 100
"""Of so many failures of one hook, one is logged with its traceback: the first."""

Job = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Threads:
    """Run blocking functions in daemon threads, which are started when they are needed.

    Not a `ThreadPoolExecutor`: the interpreter waits for its threads at exit, so one function that
    hangs would keep the server from stopping.

    Arguments:
        limit: number of functions that may run at once; the others wait in a queue.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._started = 0
        self._unfinished = 0

    def run(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Call a function in a thread; return a future of its result or exception.

        Raises:
            RuntimeError: if the queue is full, as it is behind functions that hang.
        """
        if self._unfinished >= self._limit + MAX_QUEUED_JOBS:
            raise RuntimeError(f"{MAX_QUEUED_JOBS} runs already wait for a thread")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._unfinished += 1
        if self._unfinished > self._started and self._started < self._limit:
            self._started += 1
            threading.Thread(target=self._work, name="rtdemo producer", daemon=True).start()
        self._jobs.put((function, arguments, future, loop))
        return future

    def close(self) -> None:
        """End each thread after its present function."""
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
                loop.call_soon_threadsafe(self._finish, future, result, error)
            except RuntimeError:
                return  # the loop is closed, so nothing waits for the result

    def _finish(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._unfinished -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
            return
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            future.set_exception(error)
        else:
            # A future does not accept StopIteration; SystemExit and the like would end the loop.
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
        # If the receiver has left, nobody reads the error, and asyncio would log it as forgotten.
        future.exception()


def raise_if_cancelled(error: BaseException) -> None:
    """Raise an error again if it stops the running code from outside; else return.

    That is so for a `CancelledError` while the current task is being cancelled, and for a
    `GeneratorExit`. Everything else is a failure of the plugin that raised it, also a `SystemExit` or
    a `CancelledError` of its own: it must end neither the server nor a connection.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
    if cancelled or isinstance(error, GeneratorExit):
        raise error
