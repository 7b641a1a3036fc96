"""Run one producer for one receiver, at its period."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from random import uniform

from rtdemo.plugin_system.producer import MIN_PERIOD_S, MessageNumbers, Producer
from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.protocol.client import Client
from rtdemo.protocol.message import Message
from rtdemo.timing.backoff import FIRST_RETRY_S, Backoff
from rtdemo.timing.schedule import Schedule, Tick, Timer


class ProducerRunner(ABC):
    """Run a producer for one receiver until `stop`, never twice at once.

    Arguments:
        producer: the producer.
        supervisor: runs the function and counts.
        client: the client that it runs for; its sequence numbers if it is shared.
        schedule: calls back at each period.

    Attributes:
        producer, supervisor, client: as given.
        backoff: the receiver's delays after failures; None before the first failure.
    """

    # A server holds a few of these for each connection: what only some need is None in the others.
    __slots__ = (
        "_delay",
        "_schedule",
        "_speed",
        "_task",
        "_tick",
        "backoff",
        "client",
        "producer",
        "supervisor",
    )

    def __init__(
        self,
        producer: Producer,
        supervisor: Supervisor,
        client: Client | MessageNumbers | None,
        schedule: Schedule,
    ) -> None:
        self.producer = producer
        self.supervisor = supervisor
        self.client = client
        self.backoff: Backoff | None = None
        self._schedule = schedule
        self._speed = 1.0
        self._tick: Tick | None = None
        self._delay: Timer | None = None
        self._task: asyncio.Task[bool | None] | None = None

    @abstractmethod
    def emit(self, content: str | Message) -> object:
        """Deliver a text or a `Message` to the receiver."""

    def start(self, speed: float, at_connect: bool = True, first: float | None = None) -> None:
        """Start: the first run is due after one period, or now if the producer has no period.

        Arguments:
            speed: the period is divided by this.
            at_connect: whether a function without a period runs now.
            first: seconds until the first run; None for one period.
        """
        if self.producer.every is not None:
            self.set_speed(speed, first)
        elif self.producer.is_stream:
            self._iterate()
        elif at_connect:
            self._run()

    def set_speed(self, speed: float, first: float | None = None) -> None:
        """Change the speed; it has no effect on a producer without a period.

        Arguments:
            speed: the period is divided by this.
            first: seconds until the next run; None for one period.
        """
        if self.producer.every is None:
            return
        self._speed = speed
        if self._tick is not None:
            self._tick.cancel()
        run = self._run_later if self.producer.jitter else self._run
        period = max(self.producer.every / speed, MIN_PERIOD_S)
        self._tick = self._schedule.every(period, run, first)

    def stop(self) -> None:
        """Stop for good, and cancel the present run."""
        for handle in (self._tick, self._delay, self._task):
            if handle is not None:
                handle.cancel()
        self._tick = self._delay = None
        if self._task is not None and self._task.done():
            self._task = None

    @property
    def task(self) -> asyncio.Task[bool | None] | None:
        """The task of the present run, if that is async or in a thread."""
        return self._task

    def _run_later(self) -> None:
        clock = self._schedule.clock
        delay = uniform(0.0, self.producer.jitter) / self._speed
        self._delay = clock.call_at(clock.time() + delay, self._run)

    def _run(self) -> None:
        if self._task is not None:
            return
        rest = self.supervisor.run(self)
        if rest is not None:
            self._task = asyncio.ensure_future(rest)
            self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None

    def _iterate(self) -> None:
        if self._task is not None or not self.supervisor.may_run(self):
            return
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._task = asyncio.ensure_future(self.supervisor.stream(self))
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[bool]) -> None:
        if task is not self._task:
            return  # it failed just before `stop`, which is for good
        self._task = None
        if not task.cancelled() and not task.result():
            # It failed. Check each second whether its back-off is over or it was enabled.
            self._tick = self._schedule.every(FIRST_RETRY_S, self._iterate)
