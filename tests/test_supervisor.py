"""A bad producer harms nobody but itself."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import Any

import pytest

from rtdemo import Client, Message, Producer
from rtdemo.feed import Feed
from rtdemo.schedule import Schedule
from rtdemo.supervisor import Emit, Supervisor
from rtdemo.testing import VirtualClock

CLIENT = Client("sse")


class Bench:
    """Run one function as a producer on a virtual clock."""

    def __init__(self, clock: VirtualClock, function: Any, every: float | None = 1.0) -> None:
        self.clock = clock
        self.schedule = Schedule(clock)
        self.emitted: list[str | Message] = []
        self.producer = Producer("p", function, every=every)
        self.supervisor = Supervisor("plugin", self.producer, clock.time)

    def feed(self, emit: Emit | None = None) -> Feed:
        feed = Feed(self.producer, self.supervisor, CLIENT, emit or self.emitted.append)
        feed.start(self.schedule, 1.0)
        return feed


def test_text_messages_and_none(clock: VirtualClock) -> None:
    """Text and messages are emitted, None is nothing this time."""
    contents = iter(["one", None, Message("two")])
    bench = Bench(clock, lambda: next(contents))
    bench.feed()
    clock.advance(3)
    assert bench.emitted == ["one", Message("two")]
    assert (bench.supervisor.runs, bench.supervisor.failures) == (3, 0)


def test_speed_divides_the_period(clock: VirtualClock) -> None:
    """At twice the speed twice as many come."""
    bench = Bench(clock, lambda: "x")
    Feed(bench.producer, bench.supervisor, CLIENT, bench.emitted.append).start(bench.schedule, 2.0)
    clock.advance(3)
    assert len(bench.emitted) == 6


def test_failure_backs_off_from_1_to_30_seconds(clock: VirtualClock) -> None:
    """Runs come after 1, 2, 4, 8, 16, 30, 30 ... seconds while it fails."""
    times: list[float] = []

    def fail() -> str:
        times.append(clock.now - 1000)
        raise RuntimeError("broken")

    bench = Bench(clock, fail, every=0.5)
    bench.feed()
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
    bench.feed()
    with caplog.at_level(logging.INFO):
        clock.advance(20)
        broken = False
        clock.advance(30)
    told = [(r.levelname, r.exc_info is not None) for r in caplog.records]
    assert told == [("WARNING", True), ("INFO", False)]
    assert bench.supervisor.failures > 3
    assert bench.supervisor.state == "running"


@pytest.mark.parametrize("rubbish", [42, b"bytes", {"a": 1}])
def test_rubbish_is_a_failure(clock: VirtualClock, rubbish: object) -> None:
    """What is not text, a message or None is counted against the producer."""
    bench = Bench(clock, lambda: rubbish)
    bench.feed()
    clock.advance(1)
    assert bench.supervisor.failures == 1
    assert type(rubbish).__name__ in str(bench.supervisor.last_error)


def test_error_in_emit_is_the_producer_s(clock: VirtualClock) -> None:
    """Text that cannot be encoded fails the producer, not the clock."""
    bench = Bench(clock, lambda: "\ud800")

    def emit(content: str | Message) -> None:
        str(content).encode()

    bench.feed(emit)
    clock.advance(1)
    assert "UnicodeEncodeError" in str(bench.supervisor.last_error)


async def test_async_run_is_never_doubled(clock: VirtualClock) -> None:
    """While a run is under way, ticks start no second one."""
    release = asyncio.Event()

    async def slow() -> str:
        await release.wait()
        return "done"

    bench = Bench(clock, slow)
    bench.feed()
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
    feed = bench.feed()
    await asyncio.sleep(0)
    feed.stop()
    await cancelled.wait()
    assert bench.supervisor.failures == 0


async def test_many_runs_failing_together_count_as_one_in_a_row(clock: VirtualClock) -> None:
    """A thousand clients' runs under way do not drive the back-off to its end at once."""
    release = asyncio.Event()

    async def fail() -> str:
        await release.wait()
        raise RuntimeError("broken")

    bench = Bench(clock, fail)
    for _ in range(1000):
        bench.feed()
    clock.advance(1)
    release.set()
    while bench.supervisor.failures < 1000:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(1)
    assert bench.supervisor.runs > 1000, "tried again after one second, not after thirty"
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
