"""Run the shared producers while this server leads, and publish their messages."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

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
    """Run the shared producers while this server leads.

    Arguments:
        plugins: the loaded plugins.
        schedule: runs the producers' ticks.
        engine: takes the messages.

    Attributes:
        leading: whether the producers run on this server.
        unpublished: number of messages that the engine did not take.
    """

    def __init__(self, plugins: PluginManager, schedule: Schedule, engine: Engine) -> None:
        self._plugins = plugins
        self._schedule = schedule
        self._engine = engine
        self._runners: list[SharedRunner] = []
        self.leading = False
        self.unpublished = 0

    def lead(self, leading: bool) -> None:
        """Start all shared producers if this server leads, or else stop them."""
        self.leading = leading
        if leading:
            self.start()
        else:
            self.stop()

    def start(self) -> None:
        """Start each shared producer that does not run yet, if this server leads.

        A producer that ran before, here or on another server, keeps its rhythm.
        """
        running = {runner.producer for runner in self._runners}
        for producer, supervisor in self._plugins.shared if self.leading else ():
            if producer not in running:
                runner = SharedRunner(producer, supervisor, self._schedule, self._engine, self._failed)
                self._runners.append(runner)
                runner.start(speed=1.0, first=self._first_delay(producer))

    def swap(self, plugin: str) -> None:
        """Stop the shared producers that a plugin had, and start those that it has now."""
        for runner in self._runners[:]:
            if runner.supervisor.plugin == plugin:
                runner.stop()
                self._runners.remove(runner)
        self.start()

    def stop(self) -> None:
        """Stop all shared producers."""
        for runner in self._runners:
            runner.stop()
        self._runners.clear()

    def _first_delay(self, producer: Producer) -> float | None:
        """Return the seconds until the first run; None for one period."""
        before = self._engine.log.sent_at(producer.name)
        if producer.every is None or not before:
            return None
        return min(max(0.0, producer.every - (messages.now() - before) / 1000), producer.every)

    def _failed(self, producer: str, error: BaseException | None) -> None:
        self.unpublished += 1
        log.debug("shared producer %r: not published: %r", producer, error)


class SharedRunner(ProducerRunner):
    """Run a shared producer and publish its messages.

    Arguments:
        producer, supervisor, schedule: as `ProducerRunner` takes them.
        engine: takes the messages.
        failed: called with the producer's name and the error if the engine did not take a message.
    """

    __slots__ = ("_engine", "_failed", "_sequence")

    def __init__(
        self,
        producer: Producer,
        supervisor: Supervisor,
        schedule: Schedule,
        engine: Engine,
        failed: Callable[[str, BaseException | None], object],
    ) -> None:
        self._engine = engine
        self._failed = failed
        self._sequence = SequenceNumber(engine.log, producer.name)
        super().__init__(producer, supervisor, MessageNumbers(self._sequence.next), schedule)

    def emit(self, content: str | Message) -> None:
        """Publish a text or a `Message`."""
        message = content if isinstance(content, Message) else Message(content)
        draft = Draft(
            message, self.producer.name, tuple(self.producer.transports), self.producer.admitted_users
        )
        check_draft(draft)
        self._sequence.follow(self._engine.publish([draft], leading=True), self._failed)


class SequenceNumber:
    """Compute the number of a shared producer's next message.

    The number in this server's copy of the log is behind: it lacks messages that the engine has not
    answered yet, and messages that are in the log but not in this copy. A message that the engine may
    or may not have taken counts once it is in the copy.

    Arguments:
        log: this server's copy of the log.
        producer: the producer's name.
    """

    def __init__(self, log: Log, producer: str) -> None:
        self._log = log
        self._producer = producer
        self._unanswered: list[int] = []
        self._taken: deque[Position] = deque()

    def next(self) -> int:
        """Return the number of the next message, from 1."""
        last = self._log.last
        while self._taken and (self._taken[0].epoch != last.epoch or self._taken[0] <= last):
            self._taken.popleft()
        seq = self._log.seq(self._producer)
        # The reader may append a message before its answer arrives, on another connection.
        unanswered = sum(number > seq for number in self._unanswered)
        return seq + unanswered + len(self._taken) + 1

    def follow(
        self,
        answer: asyncio.Future[list[Position]],
        failed: Callable[[str, BaseException | None], object],
    ) -> None:
        """Count a message from its publication until it is in the copy.

        Arguments:
            answer: the engine's answer to the publication.
            failed: called with the producer's name and the error if the engine did not take it.
        """

        def answered(answer: asyncio.Future[list[Position]]) -> None:
            self._unanswered.remove(number)
            if answer.cancelled() or answer.exception() is not None:
                failed(self._producer, None if answer.cancelled() else answer.exception())
            else:
                self._taken.extend(answer.result())

        number = self.next()
        self._unanswered.append(number)
        if answer.done():
            answered(answer)
        else:
            answer.add_done_callback(answered)
