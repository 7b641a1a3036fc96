"""Run a producer for a virtual while and return what it sent."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from rtdemo.errors import ProducerError, one_line
from rtdemo.plugin_system.producer import Function, MessageNumbers, Producer
from rtdemo.plugin_system.runner import ProducerRunner
from rtdemo.plugin_system.supervisor import ContentTypeError, Emit, Supervisor
from rtdemo.protocol import message as messages
from rtdemo.protocol.client import Client, Transport
from rtdemo.protocol.message import Message
from rtdemo.settings.folders import is_own_code
from rtdemo.testing import virtual_time as virtual
from rtdemo.testing.virtual_time import VirtualTimeLoop
from rtdemo.timing.backoff import Backoff
from rtdemo.timing.schedule import TIMER_RESOLUTION_S, Schedule

T = TypeVar("T")


class ProducerFailedError(AssertionError):
    """Report a producer that failed in a test; `__cause__` is its own error."""


class MessageSizeError(ValueError):
    """A producer returned a message over the limit of a `Trial`."""


class Sent(list[Message]):
    """Hold what a producer sent, and the account of its runs.

    Attributes:
        runs: how often it ran; of an async generator, how much it yielded.
        failures: runs that raised, returned rubbish or took too long.
        last_error: one line on the last failure.
        state: `running`, `backing off`, `failed` or `disabled`, at the end.
    """

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial.sent)
        account = trial.account
        self.runs, self.failures = account.runs, account.failures
        self.last_error, self.state = account.last_error, account.state

    @property
    def texts(self) -> list[str]:
        """The texts alone."""
        return [message.message for message in self]


def run_producer(
    producer: Producer | Function,
    seconds: float = 60.0,
    *,
    transport: Transport = "websocket",
    client: Client | None = None,
    speed: float = 1.0,
    failures: Literal["raise", "keep"] = "raise",
) -> Sent:
    """Run a producer as the server would, on virtual time, and return what it sent.

    An hour takes milliseconds, also where the producer awaits `asyncio.sleep`; threads take as long
    as they do, while virtual time stands still. Inside a running loop it works in a thread of its
    own, and that loop waits: what belongs to it cannot be used.

    Arguments:
        producer: what `@producer` made, or a function: that runs once, unless it is an async generator.
        seconds: virtual time; what is due at its very end still runs.
        transport: over which the client would be connected.
        client: whom it runs for; one of `transport` by default.
        speed: divides its period, as a client's choice does.
        failures: `raise` a failure of the producer, or `keep` on as the server does, with back-off.

    Returns:
        The messages with their `seq`, and `sent_at` in milliseconds since the start.

    Raises:
        ProducerFailedError: for its first failure, with place and sentence.
        ProducerError: when it is declared wrongly, or does not run over the client's transport.
    """
    chosen = as_producer(producer)
    client = client or Client(transport)
    if client.transport not in chosen.transports and not chosen.shared:
        there_are = ", ".join(chosen.transports)
        raise ProducerError(
            f"producer {chosen.name!r} does not run over {client.transport}; give transport={there_are}"
        )
    keep = failures == "keep"
    try:
        return _outside_loop(lambda: virtual.run(_run(chosen, seconds, client, speed, keep)))
    except virtual.TimeStandsStillError as error:
        raise ProducerFailedError(f"producer {chosen.name!r} never waits: {error}") from error


def as_producer(given: Producer | Function) -> Producer:
    """Return a producer as it is, or a function as the bare `@producer` would make it one."""
    if isinstance(given, Producer):
        return given
    return Producer(getattr(given, "__name__", repr(given)), given)


async def _run(producer: Producer, seconds: float, client: Client, speed: float, keep: bool) -> Sent:
    trial = Trial(producer, client)
    trial.start(speed)
    # A grain more: what is due at the very end comes before, whatever the sum of periods rounds to.
    await asyncio.sleep(seconds + TIMER_RESOLUTION_S)
    trial.stop()
    account = trial.account
    if keep:
        return Sent(trial)
    if account.errors:
        error = account.errors[0]
        raise ProducerFailedError(f"producer {producer.name!r}: {describe(error)}") from error
    if account.state != "running":
        raise ProducerFailedError(f"producer {producer.name!r}: {account.last_error}")
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


class Account(Supervisor):
    """Keep a producer's account, its errors, and virtual time while its threads work.

    Attributes:
        errors: what its runs raised.
        ended: whether an async generator came to its end.
    """

    def __init__(self, producer: Producer, loop: VirtualTimeLoop) -> None:
        super().__init__("test", producer, loop.time)
        self.errors: list[BaseException] = []
        self.ended = False
        self._loop = loop

    def run(
        self, producer: Producer, client: Client | MessageNumbers | None, emit: Emit, backoff: Backoff
    ) -> Coroutine[Any, Any, None] | None:
        """Run a function once; time stands still while it is in a thread."""
        rest = super().run(producer, client, emit, backoff)
        return self._hold(rest) if rest is not None and producer.thread else rest

    async def stream(
        self, producer: Producer, client: Client | MessageNumbers | None, emit: Emit, backoff: Backoff
    ) -> bool:
        """Iterate over an async generator and note its end."""
        self.ended = await super().stream(producer, client, emit, backoff)
        return self.ended

    async def _hold(self, rest: Coroutine[Any, Any, None]) -> None:
        with self._loop.held(self.producer.timeout):
            await rest

    def _failed(self, error: BaseException, backoff: Backoff) -> None:
        self.errors.append(error)
        super()._failed(error, backoff)


class Trial:
    """Put one producer to work on the running `VirtualTimeLoop`.

    Arguments:
        producer: what runs.
        client: whom it runs for; a shared one runs for nobody.
        limit: bytes that a message may have; more is the producer's failure.

    Attributes:
        account: counts its runs and failures.
        sent: what it sent, stamped in virtual milliseconds.
        late: how many messages came after `stop`.
    """

    def __init__(self, producer: Producer, client: Client | None, limit: float = float("inf")) -> None:
        self.loop = cast("VirtualTimeLoop", asyncio.get_running_loop())
        self.producer = producer
        self.account = Account(producer, self.loop)
        self.sent: list[Message] = []
        self.late = 0
        self._client = MessageNumbers(lambda: len(self.sent) + 1) if producer.shared else client
        self._limit = limit
        self._schedule = Schedule(self.loop)
        self._runners: list[ProducerRunner] = []
        self._stopped = False

    def start(self, speed: float = 1.0) -> None:
        """Start it for one more connection of the client."""
        runner = ProducerRunner(self.producer, self.account, self._client, self._emit, self._schedule)
        self._runners.append(runner)
        runner.start(speed)

    def stop(self) -> None:
        """Stop it, as when the client leaves."""
        self._stopped = True
        for runner in self._runners:
            runner.stop()
        self._schedule.close()
        self.account.close()

    def _emit(self, content: str | Message) -> None:
        if self._stopped:
            self.late += 1
            return
        message = content if isinstance(content, Message) else Message(content)
        text: object = message.message  # nothing makes sure that it is a str
        if not isinstance(text, str):
            kind = type(text).__name__
            raise ContentTypeError(f"returned a Message of {kind}; its message must be a str")
        stamp = round(self.loop.time() * 1000, 3)
        message = message.sent(stamp, self.producer.name, len(self.sent) + 1)
        size = len(messages.encode(message))
        if size > self._limit:
            raise MessageSizeError(f"sent {size} bytes; a message has {self._limit} at the most")
        self.sent.append(message)


def describe(error: BaseException) -> str:
    """Return one line on an error with its place in the plugin's code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not is_own_code(frame.filename)]
    place = f"line {own[-1].lineno} of {Path(own[-1].filename).name}: " if own else ""
    return place + one_line(error)
