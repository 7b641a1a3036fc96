"""Run producers so that a bad one harms nobody but itself."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from rtdemo.client import Client
from rtdemo.message import Message
from rtdemo.producers import Producer

log = logging.getLogger(__name__)

FIRST_RETRY = 1.0
LAST_RETRY = 30.0
TRACEBACK_EVERY = 100

Emit = Callable[[str | Message], object]


class Supervisor:
    """Keep the account of one producer and run it for whoever receives it.

    A run that raises is counted and puts the producer's next runs off, by 1 s after the first
    failure in a row and twice as long after each further one, up to 30 s.

    Arguments:
        plugin: the name of the plugin that the producer is from.
        producer: what is run; `producers` hooks may give a new object of its name at each connect.
        time: seconds on a monotonic clock.
    """

    def __init__(self, plugin: str, producer: Producer, time: Callable[[], float]) -> None:
        self.plugin = plugin
        self.producer = producer
        self.runs = 0
        self.failures = 0
        self.last_error: str | None = None
        self._time = time
        self._in_a_row = 0
        self._resume_at = 0.0
        self._told = False

    @property
    def state(self) -> str:
        """`running`, or `backing off` between a failure and the next success."""
        return "backing off" if self._in_a_row else "running"

    def run(self, run: Callable[[Client], Any], client: Client, emit: Emit) -> Awaitable[None] | None:
        """Run once and emit what comes; return what is left to await, if anything.

        Arguments:
            run: the producer's `run`.
            client: whom it runs for.
            emit: takes the text or `Message`; an error that it raises is the producer's.
        """
        if self._in_a_row and self._time() < self._resume_at:
            return None
        self.runs += 1
        try:
            content = run(client)
            if type(content) is not str and inspect.isawaitable(content):
                return self._finish(content, emit)
            self._deliver(content, emit)
        except Exception as error:
            self._failed(error)
        return None

    async def _finish(self, awaitable: Awaitable[Any], emit: Emit) -> None:
        try:
            self._deliver(await awaitable, emit)
        except Exception as error:
            self._failed(error)

    def _deliver(self, content: object, emit: Emit) -> None:
        if isinstance(content, str | Message):
            emit(content)
        elif content is not None:
            kind = type(content).__name__
            raise TypeError(f"returned {kind}; a producer returns str, Message or None")
        if self._in_a_row:
            self._recovered()

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"
        # Runs for other clients that were under way at the first failure say nothing new.
        if not self._in_a_row or self._time() >= self._resume_at:
            self._in_a_row += 1
            wait = min(FIRST_RETRY * 2 ** min(self._in_a_row - 1, 10), LAST_RETRY)
            self._resume_at = self._time() + wait
        if self.failures % TRACEBACK_EVERY == 1:
            self._told = True
            log.warning(
                "producer %r of plugin %r failed: %s; it is tried again after 1 to 30 s",
                self.producer.name,
                self.plugin,
                self.last_error,
                exc_info=error,
            )

    def _recovered(self) -> None:
        self._in_a_row = 0
        if self._told:
            self._told = False
            log.info("producer %r of plugin %r works again", self.producer.name, self.plugin)
