"""A bad producer harms nobody but itself."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from rtdemo import Client, Message, Producer
from rtdemo.plugin_system.isolation import Threads
from rtdemo.plugin_system.runner import ProducerRunner
from rtdemo.plugin_system.supervisor import THREADS_PER_PRODUCER, Emit, Supervisor
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import Schedule

CLIENT = Client("sse")


class Bench:
    """Run one function as a producer on a virtual clock."""

    def __init__(
        self, clock: VirtualClock, function: Any, every: float | None = 1.0, **traits: Any
    ) -> None:
        self.clock = clock
        self.schedule = Schedule(clock)
        self.emitted: list[str | Message] = []
        self.producer = Producer("p", function, every=every, **traits)
        self.supervisor = Supervisor("plugin", self.producer, clock.time)

    def runner(self, emit: Emit | None = None) -> ProducerRunner:
        runner = ProducerRunner(
            self.producer, self.supervisor, CLIENT, emit or self.emitted.append, self.schedule
        )
        runner.start(1.0)
        return runner


def test_text_messages_and_none(clock: VirtualClock) -> None:
    """Text and messages are emitted, a dict as JSON text, None is nothing this time."""
    contents = iter(["one", None, Message("two"), {"a": 1}])
    bench = Bench(clock, lambda: next(contents))
    bench.runner()
    clock.advance(4)
    assert bench.emitted == ["one", Message("two"), '{"a":1}']
    assert (bench.supervisor.runs, bench.supervisor.failures) == (4, 0)


def test_speed_divides_the_period(clock: VirtualClock) -> None:
    """At twice the speed twice as many come."""
    bench = Bench(clock, lambda: "x")
    bench.runner().set_speed(2.0)
    clock.advance(3)
    assert len(bench.emitted) == 6


def test_failure_backs_off_from_1_to_30_seconds(clock: VirtualClock) -> None:
    """Runs come after 1, 2, 4, 8, 16, 30, 30 ... seconds while it fails."""
    times: list[float] = []

    def fail() -> str:
        times.append(clock.now - 1000)
        raise RuntimeError("broken")

    bench = Bench(clock, fail, every=0.5)
    bench.runner()
    clock.advance(140)
    assert [b - a for a, b in pairwise(times)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert bench.supervisor.state == "backing off"
    assert bench.supervisor.last_error == "RuntimeError: broken"


def test_traceback_is_logged_once_and_recovery_too(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first failure brings its traceback, the next are counted, and success is told."""
    broken = True

    def flaky() -> str:
        if broken:
            raise RuntimeError("broken")
        return "fine"

    bench = Bench(clock, flaky)
    bench.runner()
    with caplog.at_level(logging.INFO):
        clock.advance(20)
        broken = False
        clock.advance(30)
    told = [(r.levelname, r.exc_info is not None) for r in caplog.records]
    assert told == [("WARNING", True), ("INFO", False)]
    assert bench.supervisor.failures > 3
    assert bench.supervisor.state == "running"


@pytest.mark.parametrize("rubbish", [42, b"bytes", [1]])
def test_rubbish_is_a_failure(clock: VirtualClock, rubbish: object) -> None:
    """What is not text, a message or None is counted against the producer."""
    bench = Bench(clock, lambda: rubbish)
    bench.runner()
    clock.advance(1)
    assert bench.supervisor.failures == 1
    assert type(rubbish).__name__ in str(bench.supervisor.last_error)


def test_error_in_emit_is_the_producer_s(clock: VirtualClock) -> None:
    """Text that cannot be encoded fails the producer, not the clock."""
    bench = Bench(clock, lambda: "\ud800")

    def emit(content: str | Message) -> None:
        str(content).encode()

    bench.runner(emit)
    clock.advance(1)
    assert "UnicodeEncodeError" in str(bench.supervisor.last_error)


async def test_async_run_is_never_doubled(clock: VirtualClock) -> None:
    """While a run is under way, ticks start no second one."""
    release = asyncio.Event()

    async def slow() -> str:
        await release.wait()
        return "done"

    bench = Bench(clock, slow)
    bench.runner()
    clock.advance(5)
    await asyncio.sleep(0)
    assert bench.supervisor.runs == 1
    release.set()
    while not bench.emitted:
        await asyncio.sleep(0)
    assert bench.emitted == ["done"]
    await asyncio.sleep(0)
    clock.advance(1)
    assert bench.supervisor.runs == 2


async def test_stop_cancels_the_run_under_way(clock: VirtualClock) -> None:
    """A client that leaves takes the task along."""
    cancelled = asyncio.Event()

    async def forever() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "never"

    bench = Bench(clock, forever, every=None)
    runner = bench.runner()
    await asyncio.sleep(0)
    runner.stop()
    await cancelled.wait()
    assert bench.supervisor.failures == 0


async def test_rounds_of_many_clients_count_as_one(clock: VirtualClock) -> None:
    """A thousand clients' failures at once do not disable a producer, as twenty rounds would."""

    def fail() -> str:
        raise RuntimeError("broken")

    bench = Bench(clock, fail)
    for _ in range(1000):
        bench.runner()
    clock.advance(1)
    assert bench.supervisor.failures == 1000
    assert bench.supervisor.state == "backing off"


def test_failure_for_one_client_is_nobody_else_s(clock: VirtualClock) -> None:
    """A producer that raises for one client goes on at its pace for the others."""
    other = Client("sse", query={"room": "1"})
    bench = Bench(clock, lambda client: client.query["room"])
    bench.runner()
    ProducerRunner(bench.producer, bench.supervisor, other, bench.emitted.append, bench.schedule).start(
        1.0
    )
    clock.advance(10)
    assert bench.emitted == ["1"] * 10
    assert bench.supervisor.failures == 4, "at 1, 2, 4 and 8 s"


async def settle(condition: Callable[[], object]) -> None:
    """Let the loop turn until a condition holds; pytest's time limit ends a wait in vain."""
    while not condition():
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), StopIteration()]
)
@pytest.mark.parametrize("kind", ["sync", "async", "thread", "stream"])
async def test_whatever_it_raises_is_its_own_failure(
    clock: VirtualClock, kind: str, error: BaseException
) -> None:
    """Not even SystemExit or a cancellation of its own ends more than the producer's run."""

    def sync() -> str:
        raise error

    async def asynchronous() -> str:
        raise error

    async def stream() -> AsyncIterator[str]:
        if error:
            raise error
        yield "never"

    function = {"sync": sync, "thread": sync, "async": asynchronous, "stream": stream}[kind]
    every = None if kind == "stream" else 1.0
    bench = Bench(clock, function, every, thread=kind == "thread")
    runner = bench.runner()
    clock.advance(1)
    await settle(lambda: bench.supervisor.failures == 1)
    assert bench.supervisor.state == "backing off"
    runner.stop()
    bench.supervisor.close()


async def test_async_run_that_hangs_is_cut_at_its_timeout(clock: VirtualClock) -> None:
    """A run over its timeout fails and is cancelled; the next one is put off."""

    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    bench = Bench(clock, hang, timeout=0.01)
    bench.runner()
    clock.advance(1)
    await settle(lambda: bench.supervisor.failures == 1)
    assert bench.supervisor.last_error == "RunTimeoutError: took over 0.01 s"


async def test_thread_run_that_hangs_is_never_doubled(clock: VirtualClock) -> None:
    """A thread cannot be cut: its producer fails, and waits for it before it runs again."""
    release, running = threading.Event(), []

    def hang() -> str:
        running.append(1)
        release.wait()
        return "late"

    bench = Bench(clock, hang, thread=True, timeout=0.01)
    runner = bench.runner()
    clock.advance(1)
    await settle(lambda: running and bench.supervisor.failures == 1)
    clock.advance(60)
    await asyncio.sleep(0)
    assert len(running) == 1
    release.set()
    await settle(lambda: runner.task is None)
    clock.advance(31)
    await settle(lambda: len(running) == 2)
    await settle(lambda: runner.task is None)
    bench.supervisor.close()


async def test_threads_are_few(clock: VirtualClock) -> None:
    """However many clients a blocking producer has, it runs in a handful of threads."""
    gate, names = threading.Event(), set()

    def work() -> str:
        gate.wait()
        names.add(threading.current_thread().name + str(threading.get_ident()))
        return "done"

    bench = Bench(clock, work, thread=True)
    runners = [bench.runner() for _ in range(50)]
    clock.advance(1)
    gate.set()
    await settle(lambda: len(bench.emitted) == 50)
    assert len(names) <= THREADS_PER_PRODUCER
    for runner in runners:
        runner.stop()
    bench.supervisor.close()


async def test_too_many_waiting_for_a_thread_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind functions that hang, the queue has a bound."""
    monkeypatch.setattr("rtdemo.plugin_system.isolation.MAX_QUEUED_JOBS", 2)
    release, threads = threading.Event(), Threads(1)
    futures = [threads.run(release.wait) for _ in range(3)]
    with pytest.raises(RuntimeError, match="wait for a thread"):
        threads.run(release.wait)
    release.set()
    await asyncio.gather(*futures)
    threads.close()


async def test_async_generator_runs_from_connect_on(clock: VirtualClock) -> None:
    """What it yields is sent; when it ends well it is not started again."""

    async def stream() -> AsyncIterator[object]:
        for content in ("one", None, {"n": 2}):
            yield content

    bench = Bench(clock, stream, None)
    runner = bench.runner()
    await settle(lambda: runner.task is None)
    clock.advance(60)
    assert bench.emitted == ["one", '{"n":2}']
    assert bench.supervisor.runs == 3


async def test_async_generator_that_fails_starts_again_after_its_back_off(clock: VirtualClock) -> None:
    """It is tried again after a second, and closed before."""
    closed: list[int] = []

    async def stream() -> AsyncIterator[str]:
        try:
            yield "one"
            raise OSError("gone")
        finally:
            closed.append(1)

    bench = Bench(clock, stream, None)
    runner = bench.runner()
    await settle(lambda: runner.task is None)
    assert (bench.emitted, bench.supervisor.last_error, closed) == (["one"], "OSError: gone", [1])
    clock.advance(1)
    await settle(lambda: bench.emitted == ["one", "one"])
    runner.stop()
    await settle(lambda: runner.task is None)


async def test_stopping_closes_the_generator(clock: VirtualClock) -> None:
    """A client that leaves lets the generator run its finally."""
    closed = asyncio.Event()

    async def stream() -> AsyncIterator[str]:
        try:
            yield "one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    bench = Bench(clock, stream, None)
    runner = bench.runner()
    await settle(lambda: bench.emitted)
    runner.stop()
    await closed.wait()
    assert bench.supervisor.failures == 0


def test_jitter_puts_each_run_off_by_less_than_it(clock: VirtualClock) -> None:
    """Runs come within the jitter after they are due, and the period does not drift."""
    times: list[float] = []
    bench = Bench(clock, lambda: times.append(clock.now - 1000), every=1.0, jitter=0.5)
    bench.runner()
    clock.advance(100.6)
    assert len(times) == 100
    late = [time - due for due, time in enumerate(times, 1)]
    assert all(0 <= delay <= 0.5 for delay in late)
    assert max(late) - min(late) > 0.1


def spin(seconds: float) -> str:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return "late"


@pytest.mark.parametrize("is_async", [False, True])
async def test_blocking_is_named_and_from_the_second_time_put_off(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    """A run that keeps the loop for over 100 ms still sends; two in a row back off."""

    async def block() -> str:
        await asyncio.sleep(0)
        return spin(0.11)

    bench = Bench(clock, block if is_async else lambda: spin(0.11))
    runner = bench.runner()
    for run in range(1, 4):
        clock.advance(1)
        await settle(partial(lambda n: len(bench.emitted) == n and runner.task is None, run))
    assert bench.emitted == ["late"] * 3
    clock.advance(1)
    assert bench.supervisor.runs == 3, "the back-off is 2 s by now"
    assert (bench.supervisor.blocked, bench.supervisor.state) == (3, "backing off")
    assert "blocked the loop for" in caplog.text
    assert "'p' of plugin 'plugin'" in caplog.text


def test_twenty_failures_in_a_row_disable_it_until_enabled(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It runs no more by itself; enabled, it runs at once and recovers."""
    broken = True

    def flaky() -> str:
        if broken:
            raise RuntimeError("broken")
        return "fine"

    bench = Bench(clock, flaky)
    bench.runner()
    clock.advance(3600)
    assert (bench.supervisor.state, bench.supervisor.failures) == ("disabled", 20)
    assert "disabled after 20 failures in a row" in caplog.text
    broken = False
    clock.advance(3600)
    assert bench.emitted == []
    bench.supervisor.enable()
    clock.advance(1)
    assert (bench.supervisor.state, bench.emitted) == ("running", ["fine"])


def test_what_runs_at_connect_only_fails(clock: VirtualClock) -> None:
    """Nobody's further run is waited for: its state is failed until the next connect."""

    def fail() -> str:
        raise RuntimeError("broken")

    bench = Bench(clock, fail, every=None)
    bench.runner()
    assert bench.supervisor.state == "failed"
