"""Run producers: count runs and failures, delay the next run after a failure, disable after many."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Any, Protocol

import msgspec

from rtdemo.errors import ProducerError, one_line
from rtdemo.plugin_system.isolation import Threads, raise_if_cancelled
from rtdemo.plugin_system.producer import MessageNumbers, Producer
from rtdemo.protocol import values
from rtdemo.protocol.client import Client
from rtdemo.protocol.message import Message
from rtdemo.protocol.values import ValueTypeError
from rtdemo.timing.backoff import Backoff
from rtdemo.timing.loop_lag import StepTimer

log = logging.getLogger(__name__)

FAILURES_TO_DISABLE = 20
"""Consecutive failed rounds after which a producer is disabled."""
MAX_STEP_S = 0.1
"""Seconds for which one step of a producer may block the event loop."""
LOG_AGAIN_S = 60.0
"""Seconds between logged problems of a producer, after the first one."""
THREADS_PER_PRODUCER = 4
"""Largest number of runs of one producer with `thread=True` at the same time."""
_NOT_AWAITABLE = frozenset({Message, dict, list, float, int, bool, type(None)})
"""Types of most contents. To ask whether something is awaitable takes longer than to encode it."""
STATES = ("running", "backing off", "failed", "disabled")
"""States of a producer, from best to worst."""


class Receiver(Protocol):
    """What a producer runs for: a `ProducerRunner`.

    Attributes:
        producer: the producer. A `producers` hook may return a new object of this name for each client.
        client: the client that it runs for; its sequence numbers if it is shared.
        backoff: the receiver's delays after failures; None before the first failure.
    """

    producer: Producer
    client: Client | MessageNumbers | None
    backoff: Backoff | None

    def emit(self, content: str | Message, /) -> object:
        """Deliver a text or a `Message`. If it raises, the run has failed."""


class RunTimeoutError(TimeoutError):
    """A run took longer than the producer's `timeout`."""


class ContentTypeError(TypeError):
    """A producer returned a value that cannot be sent."""


class Supervisor:
    """Run one producer for all its receivers, and count its runs and failures.

    A receiver is a client, or the log for a shared producer. A run fails if it raises, returns a value
    that cannot be sent, or takes longer than `timeout`. Then the next run for the same receiver is
    delayed by 1 s to 30 s. If two consecutive runs block the loop, the next runs for all receivers are
    delayed. Failures within one delay count as one failed round, because one outage may affect a
    thousand clients. After 20 consecutive failed rounds the producer is disabled until `enable` or a
    reload.

    Arguments:
        plugin: name of the plugin that the producer belongs to.
        producer: the producer. A `producers` hook may return a new object of this name for each client.
        time: returns seconds on a monotonic clock.

    Attributes:
        runs: number of runs; for an async generator, number of values that it yielded.
        failures: number of failed runs.
        blocked: number of runs that blocked the loop for over 100 ms.
        nulls: number of NaNs and infinities in its values, which were sent as null.
        outlived: number of async generators that caught their cancellation, and were ended after it.
        last_error: the last failure or blocking run, in one line; None if there was none.
    """

    def __init__(self, plugin: str, producer: Producer, time: Callable[[], float]) -> None:
        self.plugin = plugin
        self.producer = producer
        self.runs = self.failures = self.blocked = self.outlived = self.nulls = 0
        self.last_error: str | None = None
        self._time = time
        self._failed_rounds = Backoff()
        self._blocked_in_a_row = 0
        self._paused_until = 0.0
        self._is_problem_logged = False
        self._log_again_at = 0.0
        self._traced: tuple[type[BaseException], int] | None = None
        self._threads = Threads(THREADS_PER_PRODUCER) if producer.thread else None

    @property
    def state(self) -> str:
        """One of `STATES`. After a failure, a producer that runs once is `failed`, not `backing off`."""
        if not self._failed_rounds.consecutive_failures:
            return "running"
        if self._failed_rounds.consecutive_failures >= FAILURES_TO_DISABLE:
            return "disabled"
        once = self.producer.every is None and not self.producer.is_stream
        return "failed" if once else "backing off"

    def may_run(self, receiver: Receiver) -> bool:
        """Return whether a run may start now: the delays of its receiver and of all are over."""
        backoff = receiver.backoff
        if backoff is None or not backoff.consecutive_failures:
            return not self._paused_until or self._time() >= self._paused_until
        if backoff.generation != self._failed_rounds.generation:
            backoff.reset()
            backoff.generation = self._failed_rounds.generation
        return self._time() >= max(backoff.retry_at, self._paused_until)

    def enable(self) -> None:
        """Run again at once for all receivers, as if no run had failed."""
        self._failed_rounds.reset()
        self._failed_rounds.generation += 1
        self._blocked_in_a_row = 0
        self._paused_until = 0.0
        self._is_problem_logged = False

    def close(self) -> None:
        """Stop the threads of the producer."""
        if self._threads is not None:
            self._threads.close()

    def run(self, receiver: Receiver) -> Coroutine[Any, Any, None] | None:
        """Run a function once and emit its content, unless its next run is delayed.

        Arguments:
            receiver: its producer is a function, not an async generator.

        Returns:
            A coroutine that completes the run, if the function is async or runs in a thread; else None.
        """
        if (self._paused_until or receiver.backoff is not None) and not self.may_run(receiver):
            return None
        self.runs += 1
        started = perf_counter()
        try:
            if self._threads is not None:
                return self._await_thread(
                    self._threads.run(receiver.producer.run, receiver.client), receiver
                )
            content = receiver.producer.run(receiver.client)
            if type(content) is str:
                receiver.emit(content)
            elif type(content) in _NOT_AWAITABLE or not inspect.isawaitable(content):
                self._deliver(content, receiver)
            else:
                return self._await(content, receiver)
        except BaseException as error:  # SystemExit too: a plugin must not end the server
            self._failed(error, receiver)
            return None
        seconds = perf_counter() - started
        if (
            seconds > MAX_STEP_S
            or receiver.backoff is not None
            or self._blocked_in_a_row
            or self._failed_rounds.consecutive_failures
        ):
            self._succeeded(seconds, receiver)
        return None

    async def stream(self, receiver: Receiver) -> bool:
        """Emit what the async generator of a receiver yields, until it ends or fails.

        Returns:
            True if it ended, False if it failed.
        """
        longest = _LongestStep()
        iterator = receiver.producer.run(receiver.client)
        try:
            while True:
                content = await StepTimer(iterator.__anext__(), longest.note)
                if _is_cancelled():
                    # The generator has caught the cancellation, and would run for ever.
                    self.outlived += 1
                    return True
                self.runs += 1
                self._deliver(content, receiver)
                self._succeeded(longest.pop(), receiver)
                # A generator that never waits would block all other tasks.
                await asyncio.sleep(0)
        except StopAsyncIteration:
            return True
        except BaseException as error:
            raise_if_cancelled(error)
            self._failed(error, receiver)
            return False
        finally:
            await iterator.aclose()

    async def _await(self, awaitable: Awaitable[Any], receiver: Receiver) -> None:
        longest = _LongestStep()
        scope = asyncio.timeout(self.producer.timeout)
        timed = StepTimer(awaitable, longest.note) if inspect.iscoroutine(awaitable) else awaitable
        try:
            async with scope:
                content = await timed
            self._deliver(content, receiver)
        except BaseException as error:
            raise_if_cancelled(error)
            self._failed(self._timed_out() if scope.expired() else error, receiver)
        else:
            self._succeeded(longest.pop(), receiver)

    async def _await_thread(self, future: asyncio.Future[Any], receiver: Receiver) -> None:
        done, _ = await asyncio.wait({future}, timeout=self.producer.timeout)
        if not done:
            self._failed(self._timed_out(), receiver)
            # A thread cannot be stopped. Wait for it, so that the producer never runs twice at once.
            await asyncio.wait({future})
            future.exception()
            return
        try:
            self._deliver(future.result(), receiver)
        except Exception as error:
            self._failed(error, receiver)
        else:
            self._succeeded(0.0, receiver)

    def _timed_out(self) -> RunTimeoutError:
        return RunTimeoutError(f"took over {self.producer.timeout:g} s")

    def _deliver(self, content: object, receiver: Receiver) -> None:
        if isinstance(content, Message):
            # The connection and the log fill in the others: a wrong `id` would be a client's position.
            content = Message(content.message, client=content.client, value=content.value)
        if isinstance(content, str) or (isinstance(content, Message) and content.value is msgspec.UNSET):
            receiver.emit(content)
        elif content is not None:
            receiver.emit(self._with_value(content, receiver.producer.unit))

    def _with_value(self, content: object, unit: str) -> Message:
        """Return a message with a value that JSON can hold, and with a text for people.

        Raises:
            ContentTypeError: if JSON cannot hold the value.
            ValueError: if it is too large.
        """
        given = content if isinstance(content, Message) else None
        try:
            value, nulls = values.to_json(content if given is None else given.value)
        except ValueTypeError as error:
            raise ContentTypeError(f"returned {error}") from None
        self.nulls += nulls
        if given is None:
            message = values.message_of(value, unit)
            if len(message.message) <= values.SHORT_TEXT_CHARACTERS:
                return message
        else:
            message = msgspec.structs.replace(given, value=value)
        values.check_size(message)
        return message

    def _succeeded(self, seconds: float, receiver: Receiver) -> None:
        receiver.backoff = None
        if seconds > MAX_STEP_S:
            self._has_blocked(seconds)
        elif self._failed_rounds.consecutive_failures or self._blocked_in_a_row:
            self._recovered()

    def _has_blocked(self, seconds: float) -> None:
        self.blocked += 1
        self.last_error = f"blocked the loop for {seconds * 1000:.0f} ms"
        # A busy machine can make one run slow, but hardly two in a row.
        self._blocked_in_a_row += 1
        if self._blocked_in_a_row > 1:
            self._count_round()
            self._paused_until = max(self._paused_until, self._failed_rounds.retry_at)
        advice = "all other work waited; use thread=True or await"
        if self.blocked == 1:
            self._log_problem(f"{self.last_error}; {advice}")
        elif self._time() >= self._log_again_at:
            often = self._how_often(self.blocked, "in ")
            self._log_problem(f"blocked the loop {often}, last for {seconds * 1000:.0f} ms; {advice}")

    def _failed(self, error: BaseException, receiver: Receiver) -> None:
        self.failures += 1
        self.last_error = one_line(error)
        if isinstance(error, StopIteration):
            self.last_error += ": an iterator has ended; a producer that ends is an async generator"
        if receiver.backoff is None:
            receiver.backoff = Backoff(self._failed_rounds.generation)
        receiver.backoff.failed(self._time())
        self._count_round()
        self._log_failure(error)

    def _log_failure(self, error: BaseException) -> None:
        """Log the first failure; then one line a minute with the numbers."""
        retry = "retrying after 1 to 30 s"
        if self.failures == 1:
            self._traced = _origin(error)
            self._log_problem(f"{self.last_error}; {retry}", _with_traceback(error))
        elif self._time() >= self._log_again_at:
            shown = _with_traceback(error) if _origin(error) != self._traced else None
            self._traced = _origin(error)
            often = self._how_often(self.failures)
            self._log_problem(f"failed {often}, last: {self.last_error}; {retry}", shown)

    def _how_often(self, number: int, before_runs: str = "") -> str:
        if self.producer.is_stream:
            # It counts its values as runs.
            return f"{number} times"
        return f"{before_runs}{number} of {self.runs} runs"

    def _count_round(self) -> None:
        before = self._failed_rounds.consecutive_failures
        self._failed_rounds.failed(self._time())
        if before < self._failed_rounds.consecutive_failures == FAILURES_TO_DISABLE:
            self._paused_until = math.inf
            times = f"{FAILURES_TO_DISABLE} failures in a row"
            self._log_problem(
                f"{self.last_error}; disabled after {times}, until it is enabled or reloaded"
            )

    def _log_problem(self, problem: str, error: BaseException | None = None) -> None:
        self._is_problem_logged = True
        self._log_again_at = self._time() + LOG_AGAIN_S
        log.warning(
            "producer %r of plugin %r: %s", self.producer.name, self.plugin, problem, exc_info=error
        )

    def _recovered(self) -> None:
        self._failed_rounds.reset()
        self._blocked_in_a_row = 0
        self._paused_until = 0.0
        if self._is_problem_logged:
            self._is_problem_logged = False
            log.info("producer %r of plugin %r works again", self.producer.name, self.plugin)


def _with_traceback(error: BaseException) -> BaseException | None:
    """Return an error if its traceback helps; else None."""
    # Of a wrong content it shows our code only; of a wrong setting, no cause.
    return None if isinstance(error, ContentTypeError | ProducerError) else error


def _origin(error: BaseException) -> tuple[type[BaseException], int]:
    """Return the type of an error and the line that raised it: two with the same have one traceback."""
    lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
    return type(error), lines[-1] if lines else 0


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _LongestStep:
    """The longest of several durations, in seconds."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def note(self, seconds: float) -> None:
        self._seconds = max(self._seconds, seconds)

    def pop(self) -> float:
        seconds, self._seconds = self._seconds, 0.0
        return seconds
