"""Keep one producer at work for one receiver."""

from __future__ import annotations

import asyncio

from rtdemo.client import Client
from rtdemo.producers import Producer
from rtdemo.schedule import Schedule, Tick
from rtdemo.supervisor import Emit, Supervisor


class Feed:
    """Run a producer at its period until stopped; never two runs at once.

    Arguments:
        producer: what runs; one without a period runs at `start` only.
        supervisor: keeps its account.
        client: whom it runs for.
        emit: takes each text or `Message`.
    """

    __slots__ = ("_client", "_emit", "_producer", "_supervisor", "_task", "_tick")

    def __init__(self, producer: Producer, supervisor: Supervisor, client: Client, emit: Emit) -> None:
        self._producer = producer
        self._supervisor = supervisor
        self._client = client
        self._emit = emit
        self._tick: Tick | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, schedule: Schedule, speed: float) -> None:
        """Begin: at once where there is no period, else after the first period.

        Arguments:
            schedule: where the ticks stand.
            speed: divides the period.
        """
        every = self._producer.every
        if every is None:
            self._run()
        else:
            self._tick = schedule.every(every / speed, self._run)

    def stop(self) -> None:
        """Never run again, and cancel a run that is under way."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        if self._task is not None:
            return
        rest = self._supervisor.run(self._producer.run, self._client, self._emit)
        if rest is not None:
            self._task = asyncio.ensure_future(rest)
            self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None
