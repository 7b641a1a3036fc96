"""Run producers so that a bad one harms nobody but itself."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any

import msgspec

from rtdemo.errors import one_line
from rtdemo.plugin_system.isolation import Threads, raise_if_cancelled
from rtdemo.plugin_system.producer import MessageNumbers, Producer
from rtdemo.protocol.client import Client
from rtdemo.protocol.message import Message
from rtdemo.timing.backoff import Backoff
from rtdemo.timing.loop_lag import StepTimer

log = logging.getLogger(__name__)

FAILURES_TO_DISABLE = 20
BLOCKING = 0.1  # seconds for which one step may keep the loop from everyone else
TRACEBACK_EVERY, THREADS = 100, 4
STATES = ("running", "backing off", "failed", "disabled")  # from best to worst
Emit = Callable[[str | Message], object]


class Supervisor:
    """Keep the account of one producer and run it for whoever receives it.

    A run that raises, returns rubbish or takes too long is counted and puts the next runs for the
    same receiver off, by 1 s to 30 s; one that blocks the loop, from the second in a row on, those
    for all. After 20 rounds of failure without a success in between the producer is disabled until
    `enable` or a reload.

    Arguments:
        plugin: the name of the plugin that the producer is from.
        producer: what is run; `producers` hooks may give a new object of its name at each connect.
        time: seconds on a monotonic clock.

    Attributes:
        runs: how often it ran; of an async generator, how much it yielded.
        failures: runs that raised, returned rubbish or took too long.
        blocked: runs that kept the loop for over 100 ms.
        last_error: one line on the last of these.
    """

    def __init__(self, plugin: str, producer: Producer, time: Callable[[], float]) -> None:
        self.plugin = plugin
        self.producer = producer
        self.runs = self.failures = self.blocked = 0
        self.last_error: str | None = None
        self._time = time
        self._rounds = Backoff()
        self._blocked_in_a_row = 0
        self._held_until = 0.0
        self._told = False
        self._threads = Threads(THREADS) if producer.thread else None

    @property
    def state(self) -> str:
        """One of `STATES`; what runs at connect only is `failed` where others back off."""
        if not self._rounds.consecutive_failures:
            return "running"
        if self._rounds.consecutive_failures >= FAILURES_TO_DISABLE:
            return "disabled"
        once = self.producer.every is None and not self.producer.is_stream
        return "failed" if once else "backing off"

    def may_run(self, backoff: Backoff) -> bool:
        """Tell whether it may run now for the receiver whose back-off this is."""
        if not backoff.consecutive_failures and not self._held_until:
            return True
        if backoff.generation != self._rounds.generation:
            backoff.reset()
            backoff.generation = self._rounds.generation
        return self._time() >= max(backoff.retry_at, self._held_until)

    def enable(self) -> None:
        """Let it run again at once for everyone, as if it had not failed."""
        self._rounds.reset()
        self._rounds.generation += 1
        self._blocked_in_a_row = 0
        self._held_until = 0.0

    def close(self) -> None:
        """Let its threads go."""
        if self._threads is not None:
            self._threads.close()

    def run(
        self, producer: Producer, client: Client | MessageNumbers | None, emit: Emit, backoff: Backoff
    ) -> Coroutine[Any, Any, None] | None:
        """Run a function once and emit what comes; return what is left to await, if anything.

        Arguments:
            producer: whose function runs.
            client: whom it runs for; where it is shared, what numbers its messages.
            emit: takes the text or `Message`; an error that it raises is the producer's.
            backoff: the receiver's.
        """
        if (backoff.consecutive_failures or self._held_until) and not self.may_run(backoff):
            return None
        self.runs += 1
        started = perf_counter()
        try:
            if self._threads is not None:
                return self._await_thread(self._threads.run(producer.run, client), emit, backoff)
            content = producer.run(client)
            if type(content) is str:
                emit(content)
            elif inspect.isawaitable(content):
                return self._await(content, emit, backoff)
            else:
                self._deliver(content, emit)
        except BaseException as error:  # SystemExit too: one plugin does not end the server
            self._failed(error, backoff)
            return None
        self._succeeded(perf_counter() - started, backoff)
        return None

    async def stream(
        self, producer: Producer, client: Client | MessageNumbers | None, emit: Emit, backoff: Backoff
    ) -> bool:
        """Emit what an async generator yields until it ends; return whether it ended well."""
        slowest = _Slowest()
        iterator = producer.run(client)
        try:
            while True:
                content = await StepTimer(iterator.__anext__(), slowest.note)
                self.runs += 1
                self._deliver(content, emit)
                self._succeeded(slowest.take(), backoff)
                # A generator that never waits would keep the loop for itself.
                await asyncio.sleep(0)
        except StopAsyncIteration:
            return True
        except BaseException as error:
            raise_if_cancelled(error)
            self._failed(error, backoff)
            return False
        finally:
            await iterator.aclose()

    async def _await(self, awaitable: Awaitable[Any], emit: Emit, backoff: Backoff) -> None:
        slowest = _Slowest()
        scope = asyncio.timeout(self.producer.timeout)
        timed = StepTimer(awaitable, slowest.note) if inspect.iscoroutine(awaitable) else awaitable
        try:
            async with scope:
                content = await timed
            self._deliver(content, emit)
        except BaseException as error:
            raise_if_cancelled(error)
            self._failed(self._too_long() if scope.expired() else error, backoff)
        else:
            self._succeeded(slowest.take(), backoff)

    async def _await_thread(self, future: asyncio.Future[Any], emit: Emit, backoff: Backoff) -> None:
        done, _ = await asyncio.wait({future}, timeout=self.producer.timeout)
        if not done:
            self._failed(self._too_long(), backoff)
            # A thread cannot be stopped: wait for it, so that its producer never runs twice at once.
            await asyncio.wait({future})
            future.exception()
            return
        try:
            self._deliver(future.result(), emit)
        except Exception as error:
            self._failed(error, backoff)
        else:
            self._succeeded(0.0, backoff)

    def _too_long(self) -> TimeoutError:
        return TimeoutError(f"took over {self.producer.timeout:g} s")

    def _deliver(self, content: object, emit: Emit) -> None:
        if isinstance(content, (str, Message)):  # a union costs twice as much here
            emit(content)
        elif isinstance(content, Mapping):
            emit(msgspec.json.encode(content).decode())
        elif content is not None:
            kind = type(content).__name__
            raise TypeError(f"returned {kind}; a producer returns str, dict, Message or None")

    def _succeeded(self, seconds: float, backoff: Backoff) -> None:
        if backoff.consecutive_failures:
            backoff.reset()
        if seconds > BLOCKING:
            self._has_blocked(seconds)
        elif self._rounds.consecutive_failures or self._blocked_in_a_row:
            self._recovered()

    def _has_blocked(self, seconds: float) -> None:
        self.blocked += 1
        self.last_error = f"blocked the loop for {seconds * 1000:.0f} ms"
        # A machine that was busy elsewhere makes an innocent run slow once, hardly twice in a row.
        self._blocked_in_a_row += 1
        if self._blocked_in_a_row > 1:
            self._count_round()
            self._held_until = max(self._held_until, self._rounds.retry_at)
        if self.blocked % TRACEBACK_EVERY == 1:
            self._tell("everyone waited; use thread=True or await", None)

    def _failed(self, error: BaseException, backoff: Backoff) -> None:
        self.failures += 1
        self.last_error = one_line(error)
        backoff.failed(self._time())
        self._count_round()
        if self.failures % TRACEBACK_EVERY == 1:
            self._tell("it is tried again after 1 to 30 s", error)

    def _count_round(self) -> None:
        before = self._rounds.consecutive_failures
        self._rounds.failed(self._time())
        if before < self._rounds.consecutive_failures == FAILURES_TO_DISABLE:
            self._held_until = math.inf
            self._tell(f"it is disabled after {FAILURES_TO_DISABLE} in a row, until enabled", None)

    def _tell(self, what_follows: str, error: BaseException | None) -> None:
        self._told = True
        name, plugin = self.producer.name, self.plugin
        words = (name, plugin, self.last_error, what_follows)
        log.warning("producer %r of plugin %r: %s; %s", *words, exc_info=error)

    def _recovered(self) -> None:
        self._rounds.reset()
        self._blocked_in_a_row = 0
        self._held_until = 0.0
        if self._told:
            self._told = False
            log.info("producer %r of plugin %r works again", self.producer.name, self.plugin)


class _Slowest:
    """Keep the longest of several durations until it is taken."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def note(self, seconds: float) -> None:
        self._seconds = max(self._seconds, seconds)

    def take(self) -> float:
        seconds, self._seconds = self._seconds, 0.0
        return seconds
