"""Run shared producers while this server leads, and publish what they say."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from rtdemo.engine.interface import Draft, Engine, check_draft
from rtdemo.engine.log import Log
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.plugin_system.producer import MessageNumbers, Producer
from rtdemo.plugin_system.runner import ProducerRunner
from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.protocol import message as messages
from rtdemo.protocol.message import Message, Position
from rtdemo.timing.schedule import Schedule

log = logging.getLogger(__name__)


class SharedProducers:
    """Keep the shared producers at work where this server leads.

    Arguments:
        plugins: whose producers run.
        schedule: where their ticks stand.
        engine: takes what they say.

    Attributes:
        leading: whether they run here.
        unpublished: messages that the engine did not take.
    """

    def __init__(self, plugins: PluginManager, schedule: Schedule, engine: Engine) -> None:
        self._plugins = plugins
        self._schedule = schedule
        self._engine = engine
        self._runners: list[ProducerRunner] = []
        self.leading = False
        self.unpublished = 0

    def lead(self, leading: bool) -> None:
        """Start every shared producer where this server leads, else stop them."""
        self.leading = leading
        if leading:
            self.start()
        else:
            self.stop()

    def start(self) -> None:
        """Start every shared producer that does not run yet, if this server leads.

        One that ran before, here or on another server, keeps its rhythm.
        """
        working = {runner.producer for runner in self._runners}
        for producer, supervisor in self._plugins.shared if self.leading else ():
            if producer not in working:
                runner = self._runner(producer, supervisor)
                self._runners.append(runner)
                runner.start(speed=1.0, first=self._first(producer))

    def swap(self, plugin: str) -> None:
        """Stop the shared producers that a plugin had and start those that it has now."""
        for runner in self._runners[:]:
            if runner.supervisor.plugin == plugin:
                runner.stop()
                self._runners.remove(runner)
        self.start()

    def stop(self) -> None:
        """Stop them all."""
        for runner in self._runners:
            runner.stop()
        self._runners.clear()

    def _runner(self, producer: Producer, supervisor: Supervisor) -> ProducerRunner:
        numbering = Numbering(self._engine.log, producer.name)
        emit = partial(self._publish, producer, numbering)
        return ProducerRunner(
            producer, supervisor, MessageNumbers(numbering.following), emit, self._schedule
        )

    def _first(self, producer: Producer) -> float | None:
        before = self._engine.log.sent_at(producer.name)
        if producer.every is None or not before:
            return None
        return min(max(0.0, producer.every - (messages.now() - before) / 1000), producer.every)

    def _publish(self, producer: Producer, numbering: Numbering, content: str | Message) -> None:
        message = content if isinstance(content, Message) else Message(content)
        draft = Draft(message, producer.name, tuple(producer.transports))
        check_draft(draft)
        numbering.follow(self._engine.publish([draft], leading=True), self._failed)

    def _failed(self, producer: str, error: BaseException | None) -> None:
        self.unpublished += 1
        log.debug("shared producer %r: not published: %r", producer, error)


class Numbering:
    """Tell which number a shared producer's next message will have.

    The log's own number is behind by what is on its way there, and by what is in it and did not come
    back to this server yet. A message whose fate is not known counts once it comes back.

    Arguments:
        log: this server's copy.
        producer: its name.
    """

    def __init__(self, log: Log, producer: str) -> None:
        self._log = log
        self._producer = producer
        self._on_the_way: list[int] = []
        self._taken: deque[Position] = deque()

    def following(self) -> int:
        """Return the number."""
        last = self._log.last
        while self._taken and (self._taken[0].epoch != last.epoch or self._taken[0] <= last):
            self._taken.popleft()
        seq = self._log.seq(self._producer)
        # The reader may append a message before its answer arrives, on another connection.
        on_the_way = sum(number > seq for number in self._on_the_way)
        return seq + on_the_way + len(self._taken) + 1

    def follow(
        self,
        answer: asyncio.Future[list[Position]],
        failed: Callable[[str, BaseException | None], object],
    ) -> None:
        """Count a message until it is in the log.

        Arguments:
            failed: called with the producer's name and the error where it was not taken.
        """

        def answered(answer: asyncio.Future[list[Position]]) -> None:
            self._on_the_way.remove(number)
            if answer.cancelled() or answer.exception() is not None:
                failed(self._producer, None if answer.cancelled() else answer.exception())
            else:
                self._taken.extend(answer.result())

        number = self.following()
        self._on_the_way.append(number)
        if answer.done():
            answered(answer)
        else:
            answer.add_done_callback(answered)
