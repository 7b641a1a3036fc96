"""Run a producer for a virtual while and return what it sent."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

from rtdemo.client import Client, Transport
from rtdemo.errors import ProducerError
from rtdemo.message import Message
from rtdemo.producers import Function, Producer
from rtdemo.schedule import GRAIN
from rtdemo.testing import loop as virtual
from rtdemo.testing.trial import Trial, describe

T = TypeVar("T")


class ProducerFailedError(AssertionError):
    """Report a producer that failed in a test; `__cause__` is its own error."""


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
    await asyncio.sleep(seconds + GRAIN)
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
