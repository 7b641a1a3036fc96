"""Run one producer on virtual time, and return its messages."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Literal, TypeVar, cast

from rtdemo.errors import ProducerError
from rtdemo.plugin_system.discovery import described
from rtdemo.plugin_system.producer import Function, MessageNumbers, Producer
from rtdemo.plugin_system.runner import ProducerRunner
from rtdemo.plugin_system.supervisor import ContentTypeError, Receiver, Supervisor
from rtdemo.protocol import message as messages
from rtdemo.protocol.client import Client, Transport
from rtdemo.protocol.message import Message
from rtdemo.testing import virtual_time as virtual
from rtdemo.testing.virtual_time import VirtualTimeLoop
from rtdemo.timing.schedule import Schedule

T = TypeVar("T")

_ROUNDING_S = 0.001
"""Seconds added to a run: what is due at its very end still happens, although times are rounded."""


class ProducerFailedError(AssertionError):
    """A producer failed in a test; `__cause__` is the exception that it raised."""


class MessageSizeError(ValueError):
    """A producer returned a message over the limit of a `Trial`."""


def run_producer(
    producer: Producer | Function,
    seconds: float = 60.0,
    *,
    transport: Transport = "websocket",
    client: Client | None = None,
    speed: float = 1.0,
    failures: Literal["raise", "keep"] = "raise",
) -> Sent:
    """Run a producer on virtual time, as the server would run it, and return its messages.

    An hour takes milliseconds, also if the producer awaits `asyncio.sleep`. Threads take real time, in
    which no virtual time passes. Called inside a running event loop, the producer runs in a thread and
    that loop waits; the producer cannot use objects of that loop.

    Arguments:
        producer: a producer, or a function. A function runs once; an async generator runs on.
        seconds: virtual seconds to run; a run that is due at the very end still happens.
        transport: transport of the client, `"websocket"` or `"sse"`.
        client: the client that it runs for; by default, one that is connected over `transport`.
        speed: divides the period, as a client's choice of speed does.
        failures: `"raise"` the first failure, or `"keep"` running with back-off, as the server does.

    Returns:
        The messages, with `seq`, and `sent_at` in milliseconds since the start.

    Raises:
        ProducerFailedError: at the first failure; its text names the line and the exception.
        ProducerError: if the declaration is invalid, or the producer does not run over the transport.
    """
    chosen = as_producer(producer)
    client = client or Client(transport)
    if client.transport not in chosen.transports and not chosen.shared:
        transports = ", ".join(chosen.transports)
        raise ProducerError(
            f"producer {chosen.name!r} does not run over {client.transport}; give transport={transports}"
        )
    keep = failures == "keep"
    try:
        return _outside_loop(lambda: virtual.run(_run(chosen, seconds, client, speed, keep)))
    except virtual.TimeStandsStillError as error:
        raise ProducerFailedError(f"producer {chosen.name!r} never waits: {error}") from error


class Sent(list[Message]):
    """The messages that a producer sent, and its counts.

    Attributes:
        runs: number of runs; of an async generator, number of values that it yielded.
        failures: number of runs that raised, returned a value that cannot be sent, or took too long.
        last_error: the last failure or blocking in one line; None if there was none.
        state: `running`, `backing off`, `failed` or `disabled`, at the end.
    """

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial.sent)
        supervisor = trial.supervisor
        self.runs, self.failures = supervisor.runs, supervisor.failures
        self.last_error, self.state = supervisor.last_error, supervisor.state

    @property
    def texts(self) -> list[str]:
        """The texts of the messages."""
        return [message.message for message in self]


def as_producer(given: Producer | Function) -> Producer:
    """Return a producer unchanged, or a function as `@producer` without arguments declares it."""
    if isinstance(given, Producer):
        return given
    return Producer(getattr(given, "__name__", repr(given)), given)


async def _run(producer: Producer, seconds: float, client: Client, speed: float, keep: bool) -> Sent:
    trial = Trial(producer, client)
    trial.start(speed)
    await asyncio.sleep(seconds + _ROUNDING_S)
    trial.stop()
    supervisor = trial.supervisor
    if keep:
        return Sent(trial)
    if supervisor.errors:
        error = supervisor.errors[0]
        raise ProducerFailedError(f"producer {producer.name!r}: {described(error)}") from error
    if supervisor.state != "running":
        raise ProducerFailedError(f"producer {producer.name!r}: {supervisor.last_error}")
    return Sent(trial)


def _outside_loop(work: Callable[[], T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    outcome: list[T] = []
    errors: list[BaseException] = []

    def in_thread() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=partial(contextvars.copy_context().run, in_thread), daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]


class Trial:
    """Run one producer on the running `VirtualTimeLoop`.

    Arguments:
        producer: the producer.
        client: the client that it runs for; not used if the producer is shared.
        limit: most bytes of a message's JSON; a larger message is a failure of the producer.

    Attributes:
        supervisor: counts its runs and failures.
        sent: its messages; `sent_at` is in virtual milliseconds.
        late: number of messages after `stop`.
    """

    def __init__(self, producer: Producer, client: Client | None, limit: float = float("inf")) -> None:
        self.loop = cast("VirtualTimeLoop", asyncio.get_running_loop())
        self.producer = producer
        self.supervisor = TrialSupervisor(producer, self.loop)
        self.sent: list[Message] = []
        self.late = 0
        self._client = MessageNumbers(lambda: len(self.sent) + 1) if producer.shared else client
        self._limit = limit
        self._schedule = Schedule(self.loop)
        self._runners: list[ProducerRunner] = []
        self._stopped = False

    def start(self, speed: float = 1.0) -> None:
        """Start the producer; a second call starts it for one more connection of the client."""
        runner = TrialRunner(self.producer, self.supervisor, self._client, self._schedule, self._emit)
        self._runners.append(runner)
        runner.start(speed)

    def stop(self) -> None:
        """Stop the producer, as when the client leaves."""
        self._stopped = True
        for runner in self._runners:
            runner.stop()
        self._schedule.close()
        self.supervisor.close()

    @property
    def tasks(self) -> set[asyncio.Task[bool | None]]:
        """The tasks of the runs that are not finished."""
        return {runner.task for runner in self._runners if runner.task is not None}

    def _emit(self, content: str | Message) -> None:
        if self._stopped:
            self.late += 1
            return
        message = content if isinstance(content, Message) else Message(content)
        text: object = message.message  # a plugin may have put anything there
        if not isinstance(text, str):
            kind = type(text).__name__
            raise ContentTypeError(f"returned a Message of {kind}; its message must be a str")
        sent_at = round(self.loop.time() * 1000, 3)
        message = message.sent(sent_at, self.producer.name, len(self.sent) + 1)
        size = len(messages.encode(message))
        if size > self._limit:
            raise MessageSizeError(f"sent {size} bytes; a message may have {self._limit}")
        self.sent.append(message)


class TrialRunner(ProducerRunner):
    """Run the producer, and call a function with each content.

    Arguments:
        producer, supervisor, client, schedule: as `ProducerRunner` takes them.
        emit: called with each text or `Message`.
    """

    __slots__ = ("_emit",)

    def __init__(
        self,
        producer: Producer,
        supervisor: Supervisor,
        client: Client | MessageNumbers | None,
        schedule: Schedule,
        emit: Callable[[str | Message], object],
    ) -> None:
        super().__init__(producer, supervisor, client, schedule)
        self._emit = emit

    def emit(self, content: str | Message) -> None:
        """Pass a text or a `Message` on."""
        self._emit(content)


class TrialSupervisor(Supervisor):
    """A supervisor that also collects the errors, and stops virtual time while a thread runs.

    Attributes:
        errors: the exceptions of failed runs.
        ended: whether an async generator reached its end.
    """

    def __init__(self, producer: Producer, loop: VirtualTimeLoop) -> None:
        super().__init__("test", producer, loop.time)
        self.errors: list[BaseException] = []
        self.ended = False
        self._loop = loop

    def run(self, receiver: Receiver) -> Coroutine[Any, Any, None] | None:
        """Run a function once; no virtual time passes while it is in a thread."""
        rest = super().run(receiver)
        return self._hold(rest) if rest is not None and receiver.producer.thread else rest

    async def stream(self, receiver: Receiver) -> bool:
        """Emit what an async generator yields, and note its end."""
        self.ended = await super().stream(receiver)
        return self.ended

    async def _hold(self, rest: Coroutine[Any, Any, None]) -> None:
        with self._loop.held(self.producer.timeout):
            await rest

    def _failed(self, error: BaseException, receiver: Receiver) -> None:
        self.errors.append(error)
        super()._failed(error, receiver)
