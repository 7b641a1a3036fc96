"""A producer that fails, hangs or blocks affects only itself."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from rtdemo import Client, Message, Producer
from rtdemo.plugin_system.isolation import Threads
from rtdemo.plugin_system.runner import ProducerRunner
from rtdemo.plugin_system.supervisor import THREADS_PER_PRODUCER, Supervisor
from rtdemo.testing import VirtualClock
from rtdemo.timing.schedule import Schedule
from tests.garbage import collect_garbage

CLIENT = Client("sse")
Emit = Callable[[str | Message], object]


class Runner(ProducerRunner):
    """Run a producer for one client, and call a function with each content."""

    def __init__(self, harness: Harness, emit: Emit, client: Client = CLIENT) -> None:
        super().__init__(harness.producer, harness.supervisor, client, harness.schedule)
        self._emit = emit

    def emit(self, content: str | Message) -> None:
        self._emit(content)


class Harness:
    """One function as a producer, on a virtual clock; `emitted` collects what it sends."""

    def __init__(
        self, clock: VirtualClock, function: Any, every: float | None = 1.0, **traits: Any
    ) -> None:
        self.clock = clock
        self.schedule = Schedule(clock)
        self.emitted: list[str | Message] = []
        self.producer = Producer("p", function, every=every, **traits)
        self.supervisor = Supervisor("plugin", self.producer, clock.time)

    def runner(self, emit: Emit | None = None) -> ProducerRunner:
        runner = Runner(self, emit or self.emitted.append)
        runner.start(1.0)
        return runner


@pytest.fixture
def unpaused(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure runs by the virtual clock: a pause of the machine within one would block the loop."""
    monkeypatch.setattr("rtdemo.plugin_system.supervisor.perf_counter", clock.time)


def broken() -> str:
    raise RuntimeError("broken")


def test_text_messages_and_none(clock: VirtualClock) -> None:
    """Text and messages are emitted as they are, a value as one and as text, None not at all."""
    contents = iter(
        ["one", None, Message("two"), {"a": 1}, 0, [True], Message("x", value=Fraction(1, 2))]
    )
    harness = Harness(clock, lambda: next(contents))
    harness.runner()
    clock.advance(7)
    assert harness.emitted == [
        "one",
        Message("two"),
        Message('{"a":1}', value={"a": 1}),
        Message("0", value=0),
        Message("[true]", value=[True]),
        Message("x", value=0.5),
    ]
    assert (harness.supervisor.runs, harness.supervisor.failures) == (7, 0)


@pytest.mark.parametrize("value", [{}, {"value": 1}])
def test_fields_of_the_connection_are_not_a_plugins(clock: VirtualClock, value: dict[str, Any]) -> None:
    """An `id` of its own would become the client's position, and `lost` would frighten the client."""
    message = Message("x", 1.0, "other", 9, client="c", id="a-1", lost=True, truncated=True, **value)
    harness = Harness(clock, lambda: message)
    harness.runner()
    clock.advance(1)
    assert harness.emitted == [Message("x", client="c", **value)]


def test_nan_is_sent_as_null_and_counted(clock: VirtualClock) -> None:
    """The run has not failed: a sensor without a reading is no error."""
    harness = Harness(clock, lambda: {"a": math.nan, "b": math.inf})
    harness.runner()
    clock.advance(2)
    assert harness.emitted[0] == Message('{"a":null,"b":null}', value={"a": None, "b": None})
    assert (harness.supervisor.nulls, harness.supervisor.failures) == (4, 0)


def test_value_that_is_too_large_is_a_failure(clock: VirtualClock) -> None:
    """Of a private producer too: the text and the value together have at most 64 KiB."""
    harness = Harness(clock, lambda: ["x" * 1000] * 1000)
    harness.runner()
    clock.advance(1)
    assert harness.emitted == []
    assert "the maximum is 65536" in str(harness.supervisor.last_error)


def test_speed_divides_the_period(clock: VirtualClock) -> None:
    """At twice the speed, twice as many messages are sent."""
    harness = Harness(clock, lambda: "x")
    harness.runner().set_speed(2.0)
    clock.advance(3)
    assert len(harness.emitted) == 6


def test_iterator_that_has_ended_is_told_how_a_producer_ends(clock: VirtualClock) -> None:
    """As where a producer reads a file line by line."""
    rows = iter(["only"])
    harness = Harness(clock, lambda: next(rows), every=0.5)
    harness.runner()
    clock.advance(1.1)
    assert harness.emitted == ["only"]
    assert harness.supervisor.last_error == (
        "StopIteration: an iterator has ended; a producer that ends is an async generator"
    )


def test_failure_backs_off_from_1_to_30_seconds(clock: VirtualClock) -> None:
    """While it fails, it runs again after 1, 2, 4, 8, 16, 30, 30 ... seconds."""
    times: list[float] = []

    def fail() -> str:
        times.append(clock.now - 1000)
        raise RuntimeError("broken")

    harness = Harness(clock, fail, every=0.5)
    harness.runner()
    clock.advance(140)
    assert [b - a for a, b in pairwise(times)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert harness.supervisor.state == "backing off"
    assert harness.supervisor.last_error == "RuntimeError: broken"


def test_wrong_content_is_logged_in_one_line(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A traceback would show the server's code only: the producer has returned."""
    Harness(clock, lambda: b"bytes").runner()
    clock.advance(1)
    assert [record.exc_info for record in caplog.records] == [None]
    assert "returned a value of type bytes; use numbers, bools, texts, None, dicts and " in caplog.text


@pytest.mark.usefixtures("unpaused")
def test_traceback_is_logged_once_and_recovery_too(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first failure is logged with its traceback, the next are counted, the recovery is logged."""
    broken = True

    def flaky() -> str:
        if broken:
            raise RuntimeError("broken")
        return "fine"

    harness = Harness(clock, flaky)
    harness.runner()
    with caplog.at_level(logging.INFO):
        clock.advance(20)
        broken = False
        clock.advance(30)
    logged = [(r.levelname, r.exc_info is not None) for r in caplog.records]
    assert logged == [("WARNING", True), ("INFO", False)]
    assert harness.supervisor.failures > 3
    assert harness.supervisor.state == "running"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged of `p`: each line, and whether it has a traceback."""
    return [
        record.getMessage().removeprefix("producer 'p' of plugin 'plugin'")
        + (" + traceback" if record.exc_info else "")
        for record in caplog.records
    ]


@pytest.mark.usefixtures("unpaused")
def test_producer_that_fails_now_and_then_is_logged_once_a_minute(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After the first failure with the numbers so far, and never with the same traceback again."""

    def shaky() -> str:
        if harness.supervisor.runs % 3 == 0:
            raise ValueError(f"no reading in run {harness.supervisor.runs}")
        return "fine"

    harness = Harness(clock, shaky)
    harness.runner()
    with caplog.at_level(logging.INFO):
        clock.advance(70)
        assert lines(caplog) == [
            ": ValueError: no reading in run 3; retrying after 1 to 30 s + traceback",
            " works again",
            ": failed 21 of 63 runs, last: ValueError: no reading in run 63; retrying after 1 to 30 s",
            " works again",
        ]
        clock.advance(3600)
    assert len(caplog.records) == 2 * (1 + 3670 // 60)
    assert sum(record.exc_info is not None for record in caplog.records) == 1


@pytest.mark.usefixtures("unpaused")
def test_another_error_of_a_producer_that_fails_now_and_then_has_its_traceback(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if it has the same type, but was raised by another line."""

    def shaky() -> str:
        if harness.supervisor.runs % 2:
            return "fine"
        if clock.now < 1090:
            raise ValueError("one line")
        if clock.now < 1150:
            raise ValueError("another line")
        raise OSError("gone")

    harness = Harness(clock, shaky)
    harness.runner()
    clock.advance(250)
    texts = [line.partition("last: ")[2].partition(";")[0] for line in lines(caplog)]
    assert texts == [
        "",
        "ValueError: one line",
        "ValueError: another line",
        "OSError: gone",
        "OSError: gone",
    ]
    assert [record.exc_info is not None for record in caplog.records] == [True, False, True, True, False]


def test_failures_after_a_producer_was_enabled_are_logged_again(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log shows whether the repair helped."""
    harness = Harness(clock, broken)
    harness.runner()
    clock.advance(3600)
    caplog.clear()
    harness.supervisor.enable()
    clock.advance(1)
    assert lines(caplog) == [
        ": failed 21 of 21 runs, last: RuntimeError: broken; retrying after 1 to 30 s"
    ]


async def test_log_counts_failures_of_an_async_generator_without_its_runs(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its runs are values: it may have failed more often than it yielded."""

    async def shaky() -> AsyncIterator[str]:
        yield "fine"
        raise OSError("gone")

    harness = Harness(clock, shaky, every=None)
    runner = harness.runner()
    for failures in (1, 2):
        await settle(partial(lambda n: harness.supervisor.failures == n, failures))
        runner.stop()
        clock.advance(61)
        runner = harness.runner()
    assert lines(caplog)[1:] == [": failed 2 times, last: OSError: gone; retrying after 1 to 30 s"]
    runner.stop()


@pytest.mark.parametrize("value", [object(), b"bytes", {b"a": 1}, Message("x", value={1})])
def test_value_that_cannot_be_sent_is_a_failure(clock: VirtualClock, value: object) -> None:
    """A value that JSON cannot hold is a failure that names its type."""
    harness = Harness(clock, lambda: value)
    harness.runner()
    clock.advance(1)
    assert harness.supervisor.failures == 1
    assert re.search("type (object|bytes|set);", str(harness.supervisor.last_error))


def test_error_in_emit_is_a_failure(clock: VirtualClock) -> None:
    """Text that cannot be encoded is a failure of the producer; the clock goes on."""
    harness = Harness(clock, lambda: "\ud800")

    def emit(content: str | Message) -> None:
        str(content).encode()

    harness.runner(emit)
    clock.advance(1)
    assert "UnicodeEncodeError" in str(harness.supervisor.last_error)


async def test_async_runs_do_not_overlap(clock: VirtualClock) -> None:
    """A tick during a run starts no second run."""
    release = asyncio.Event()

    async def slow() -> str:
        await release.wait()
        return "done"

    harness = Harness(clock, slow)
    harness.runner()
    clock.advance(5)
    await asyncio.sleep(0)
    assert harness.supervisor.runs == 1
    release.set()
    while not harness.emitted:
        await asyncio.sleep(0)
    assert harness.emitted == ["done"]
    await asyncio.sleep(0)
    clock.advance(1)
    assert harness.supervisor.runs == 2


async def test_stop_cancels_the_present_run(clock: VirtualClock) -> None:
    """When the client leaves, the task is cancelled; that is no failure."""
    cancelled = asyncio.Event()

    async def forever() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "never"

    harness = Harness(clock, forever, every=None)
    runner = harness.runner()
    await asyncio.sleep(0)
    runner.stop()
    await cancelled.wait()
    assert harness.supervisor.failures == 0


async def test_rounds_of_many_clients_count_as_one(clock: VirtualClock) -> None:
    """The failures of a thousand clients at one time are one round of the twenty that disable."""
    harness = Harness(clock, broken)
    for _ in range(1000):
        harness.runner()
    clock.advance(1)
    assert harness.supervisor.failures == 1000
    assert harness.supervisor.state == "backing off"


def test_failure_for_one_client_does_not_affect_others(clock: VirtualClock) -> None:
    """A producer that raises for one client runs at its period for the others."""
    other = Client("sse", query={"room": "1"})
    harness = Harness(clock, lambda client: client.query["room"])
    harness.runner()
    Runner(harness, harness.emitted.append, other).start(1.0)
    clock.advance(10)
    assert harness.emitted == ["1"] * 10
    assert harness.supervisor.failures == 4, "at 1, 2, 4 and 8 s"


async def settle(condition: Callable[[], object]) -> None:
    """Turn the loop until a condition holds; pytest's timeout bounds the wait."""
    while not condition():
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), StopIteration()]
)
@pytest.mark.parametrize("kind", ["sync", "async", "thread", "stream"])
async def test_any_exception_is_a_failure_of_the_producer(
    clock: VirtualClock, kind: str, error: BaseException
) -> None:
    """Even a SystemExit, or a cancellation that it raises itself, ends only its run."""

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
    harness = Harness(clock, function, every, thread=kind == "thread")
    runner = harness.runner()
    clock.advance(1)
    await settle(lambda: harness.supervisor.failures == 1)
    assert harness.supervisor.state == "backing off"
    runner.stop()
    harness.supervisor.close()


async def test_async_run_that_hangs_is_cancelled_at_its_timeout(clock: VirtualClock) -> None:
    """A run over its timeout is a failure."""

    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    harness = Harness(clock, hang, timeout=0.01)
    harness.runner()
    clock.advance(1)
    await settle(lambda: harness.supervisor.failures == 1)
    assert harness.supervisor.last_error == "RunTimeoutError: took over 0.01 s"


async def test_thread_that_hangs_does_not_overlap_with_the_next_run(clock: VirtualClock) -> None:
    """A thread cannot be stopped: the run fails, and the next run waits until the thread ends."""
    release, running = threading.Event(), []

    def hang() -> str:
        running.append(1)
        release.wait()
        return "late"

    harness = Harness(clock, hang, thread=True, timeout=0.01)
    runner = harness.runner()
    clock.advance(1)
    await settle(lambda: running and harness.supervisor.failures == 1)
    clock.advance(60)
    await asyncio.sleep(0)
    assert len(running) == 1
    release.set()
    await settle(lambda: runner.task is None)
    clock.advance(31)
    await settle(lambda: len(running) == 2)
    await settle(lambda: runner.task is None)
    harness.supervisor.close()


async def test_thread_that_fails_after_its_client_has_left(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error is not logged as one that was never retrieved."""
    collect_garbage()
    caplog.clear()
    entered, leave = threading.Event(), threading.Event()
    of_other_tests = set(threading.enumerate())

    def failing() -> str:
        entered.set()
        leave.wait()
        raise OSError("late")

    harness = Harness(clock, failing, thread=True)
    runner = harness.runner()
    clock.advance(1)
    assert await asyncio.to_thread(entered.wait, 5)
    runner.stop()
    assert harness.supervisor._threads is not None
    leave.set()
    while harness.supervisor._threads._unfinished:
        await asyncio.sleep(0.001)
    harness.supervisor.close()
    for thread in set(threading.enumerate()) - of_other_tests:
        if thread.name == "rtdemo producer":
            await asyncio.to_thread(thread.join, 5)  # it refers to the future until it ends
    gc.collect()
    assert caplog.records == []


async def test_generator_that_catches_its_cancellation_ends(clock: VirtualClock) -> None:
    """After the next value; nothing of it is emitted any more."""
    caught = 0

    async def stubborn() -> AsyncIterator[str]:
        nonlocal caught
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                caught += 1
            yield "still here"

    harness = Harness(clock, stubborn, every=None)
    runner = harness.runner()
    task = runner.task
    assert task is not None
    await asyncio.sleep(0)
    runner.stop()
    await asyncio.wait({task}, timeout=5)
    assert task.done()
    assert (caught, harness.emitted) == (1, [])


async def test_threads_are_few(clock: VirtualClock) -> None:
    """A producer with many clients runs in a fixed number of threads."""
    gate, names = threading.Event(), set()

    def work() -> str:
        gate.wait()
        names.add(threading.current_thread().name + str(threading.get_ident()))
        return "done"

    harness = Harness(clock, work, thread=True)
    runners = [harness.runner() for _ in range(50)]
    clock.advance(1)
    gate.set()
    await settle(lambda: len(harness.emitted) == 50)
    assert len(names) <= THREADS_PER_PRODUCER
    for runner in runners:
        runner.stop()
    harness.supervisor.close()


async def test_queue_for_threads_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind functions that hang, a further run is refused."""
    monkeypatch.setattr("rtdemo.plugin_system.isolation.MAX_QUEUED_JOBS", 2)
    release, threads = threading.Event(), Threads(1)
    futures = [threads.run(release.wait) for _ in range(3)]
    with pytest.raises(RuntimeError, match="wait for a thread"):
        threads.run(release.wait)
    release.set()
    await asyncio.gather(*futures)
    threads.close()


async def test_async_generator_runs_from_connect_on(clock: VirtualClock) -> None:
    """Its values are sent; when it has ended, it is not started again."""

    async def stream() -> AsyncIterator[object]:
        for content in ("one", None, {"n": 2}):
            yield content

    harness = Harness(clock, stream, None)
    runner = harness.runner()
    await settle(lambda: runner.task is None)
    clock.advance(60)
    assert harness.emitted == ["one", Message('{"n":2}', value={"n": 2})]
    assert harness.supervisor.runs == 3


async def test_async_generator_that_fails_is_restarted_after_its_back_off(clock: VirtualClock) -> None:
    """It is closed, and restarted after a second."""
    closed: list[int] = []

    async def stream() -> AsyncIterator[str]:
        try:
            yield "one"
            raise OSError("gone")
        finally:
            closed.append(1)

    harness = Harness(clock, stream, None)
    runner = harness.runner()
    await settle(lambda: runner.task is None)
    assert (harness.emitted, harness.supervisor.last_error, closed) == (["one"], "OSError: gone", [1])
    clock.advance(1)
    await settle(lambda: harness.emitted == ["one", "one"])
    runner.stop()
    await settle(lambda: runner.task is None)


async def test_stream_that_fails_as_it_is_stopped_is_not_restarted(clock: VirtualClock) -> None:
    """Its task has ended already, but nothing has heard of it yet."""

    async def stream() -> AsyncIterator[str]:
        for text in list[str]():
            yield text
        raise OSError("gone")

    harness = Harness(clock, stream, None)
    runner = harness.runner()
    task = runner.task
    assert task is not None
    while not task.done():
        await asyncio.sleep(0)
    runner.stop()
    await asyncio.sleep(0)
    assert harness.schedule.ticks == 0


async def test_stopping_closes_the_generator(clock: VirtualClock) -> None:
    """When the client leaves, the generator's `finally` runs; that is no failure."""
    closed = asyncio.Event()

    async def stream() -> AsyncIterator[str]:
        try:
            yield "one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    harness = Harness(clock, stream, None)
    runner = harness.runner()
    await settle(lambda: harness.emitted)
    runner.stop()
    await closed.wait()
    assert harness.supervisor.failures == 0


def test_jitter_delays_each_run_at_random(clock: VirtualClock) -> None:
    """Each run happens within the jitter after its due time, and the period does not drift."""
    times: list[float] = []
    harness = Harness(clock, lambda: times.append(clock.now - 1000), every=1.0, jitter=0.5)
    harness.runner()
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
async def test_run_that_blocks_is_logged_and_backs_off_from_the_second(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    """A run that blocks the loop for over 100 ms still sends; after two in a row it backs off."""

    async def block() -> str:
        await asyncio.sleep(0)
        return spin(0.11)

    harness = Harness(clock, block if is_async else lambda: spin(0.11))
    runner = harness.runner()
    for run in range(1, 4):
        clock.advance(1)
        await settle(partial(lambda n: len(harness.emitted) == n and runner.task is None, run))
    assert harness.emitted == ["late"] * 3
    clock.advance(1)
    assert harness.supervisor.runs == 3, "the back-off is 2 s by now"
    assert (harness.supervisor.blocked, harness.supervisor.state) == (3, "backing off")
    assert "blocked the loop for" in caplog.text
    assert "'p' of plugin 'plugin'" in caplog.text


def test_run_that_blocks_now_and_then_is_logged_once_a_minute(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the numbers, as a failure is; it had been logged at the first and each hundredth time."""
    stopwatch = 0.0
    monkeypatch.setattr("rtdemo.plugin_system.supervisor.perf_counter", lambda: stopwatch)

    def stutter() -> str:
        nonlocal stopwatch
        stopwatch += 0.25 if harness.supervisor.runs % 3 == 0 else 0.0
        return "late"

    harness = Harness(clock, stutter)
    harness.runner()
    with caplog.at_level(logging.INFO):
        clock.advance(70)
        advice = "all other work waited; use thread=True or await"
        assert lines(caplog) == [
            f": blocked the loop for 250 ms; {advice}",
            " works again",
            f": blocked the loop in 21 of 63 runs, last for 250 ms; {advice}",
            " works again",
        ]
        clock.advance(3600)
    assert len(caplog.records) == 2 * (1 + 3670 // 60)


def test_producer_that_keeps_failing_is_logged_once_a_minute(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The same rule as for one that works in between, until it is disabled."""
    harness = Harness(clock, broken)
    harness.runner()
    clock.advance(130)
    assert lines(caplog) == [
        ": RuntimeError: broken; retrying after 1 to 30 s + traceback",
        ": failed 7 of 7 runs, last: RuntimeError: broken; retrying after 1 to 30 s",
        ": failed 9 of 9 runs, last: RuntimeError: broken; retrying after 1 to 30 s",
    ]


def test_twenty_failures_in_a_row_disable_it_until_enabled(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not run until it is enabled; then it runs at its period again."""
    broken = True

    def flaky() -> str:
        if broken:
            raise RuntimeError("broken")
        return "fine"

    harness = Harness(clock, flaky)
    harness.runner()
    clock.advance(3600)
    assert (harness.supervisor.state, harness.supervisor.failures) == ("disabled", 20)
    assert "disabled after 20 failures in a row" in caplog.text
    broken = False
    clock.advance(3600)
    assert harness.emitted == []
    harness.supervisor.enable()
    clock.advance(1)
    assert (harness.supervisor.state, harness.emitted) == ("running", ["fine"])


def test_producer_without_a_period_is_failed(clock: VirtualClock) -> None:
    """No further run is due before the next connect, so its state is `failed`."""

    def fail() -> str:
        raise RuntimeError("broken")

    harness = Harness(clock, fail, every=None)
    harness.runner()
    assert harness.supervisor.state == "failed"
