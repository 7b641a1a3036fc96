"""Statistics of all workers are added up at most four times a second, however many ask, and wherever."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rtdemo.hub.statistics import Statistics, Traffic
from rtdemo.protocol.client import TRANSPORTS
from rtdemo.timing.histogram import Histogram
from rtdemo.web.sum_cache import MAX_AGE_S, SumCache

T = 1_000_000.0
"""The time at first, in seconds since the epoch."""


class Gathering:
    """Gathers a new sum each time, once the test lets it."""

    def __init__(self) -> None:
        self.count = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self) -> Statistics:
        self.count += 1
        number = self.count
        await self.may_end.wait()
        return Statistics(
            worker=number,
            uptime=1.0,
            cpu=0.0,
            tasks=0,
            timers=0,
            skipped=0,
            unpublished=0,
            leading=False,
            connections=dict.fromkeys(TRANSPORTS, 0),
            traffic={transport: Traffic() for transport in TRANSPORTS},
            tick_lag=Histogram(),
            loop_lag=Histogram(),
            publish=Histogram(),
            producers=[],
            servers={},
        )


class Time:
    """The time of the caches, and of the files that they write."""

    def __init__(self, folder: Path) -> None:
        self.now = T
        self._folder = folder

    def __call__(self) -> float:
        # The kernel stamps files with the real time.
        for file in self._folder.glob("sum.*"):
            if file.stat().st_mtime > T + 1000:
                os.utime(file, (self.now, self.now))
        return self.now


@pytest.fixture
def time(tmp_path: Path) -> Time:
    return Time(tmp_path)


@pytest.fixture
def workers(tmp_path: Path, time: Time) -> list[SumCache]:
    """Two workers of one parent."""
    return [SumCache(tmp_path, time), SumCache(tmp_path, time)]


async def test_requests_at_once_share_one_sum(workers: list[SumCache]) -> None:
    """One request that ends early does not end the others."""
    gather = Gathering()
    gather.may_end.clear()
    asked = [asyncio.ensure_future(workers[0].get(gather)) for _ in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked[0].cancel()
    gather.may_end.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert {answer.worker for answer in answers[1:] if isinstance(answer, Statistics)} == {1}
    assert gather.count == 1


async def test_workers_share_a_sum_for_250_ms(workers: list[SumCache], time: Time) -> None:
    """Whichever worker is asked, no counter goes back; after 250 ms the sum is new."""
    gather = Gathering()
    assert [(await worker.get(gather)).worker for worker in workers * 2] == [1, 1, 1, 1]
    time.now += MAX_AGE_S - 0.01
    assert (await workers[1].get(gather)).worker == 1
    time.now += 0.02
    assert [(await worker.get(gather)).worker for worker in workers] == [2, 2]
    time.now -= 3600
    assert (await workers[0].get(gather)).worker == 3


async def test_slower_worker_does_not_replace_a_newer_sum(workers: list[SumCache]) -> None:
    """Of two that gather at the same time, the second to end takes over the first one's sum."""
    slow, fast = Gathering(), Gathering()
    slow.may_end.clear()
    fast.count = 10
    waiting = asyncio.ensure_future(workers[0].get(slow))
    await asyncio.sleep(0)
    assert (await workers[1].get(fast)).worker == 11
    slow.may_end.set()
    assert (await waiting).worker == 11


async def test_change_makes_the_next_sum_new(workers: list[SumCache]) -> None:
    """A producer that was enabled is shown as enabled."""
    gather = Gathering()
    await workers[0].get(gather)
    workers[0].clear()
    assert (await workers[1].get(gather)).worker == 2


@pytest.mark.parametrize("content", [b"", b"{", b'{"worker": 1}'])
async def test_file_that_cannot_be_read_is_replaced(
    workers: list[SumCache], tmp_path: Path, content: bytes
) -> None:
    """After a reload by SIGHUP it may be of another version."""
    (tmp_path / "sum.json").write_bytes(content)
    assert (await workers[0].get(Gathering())).worker == 1
    assert (await workers[1].get(Gathering())).worker == 1


async def test_failure_reaches_all_and_is_not_kept(workers: list[SumCache]) -> None:
    """The next request tries again."""

    async def fail() -> Statistics:
        raise OSError("disk")

    failing: Callable[[], Awaitable[Statistics]] = fail
    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            await workers[0].get(failing)
    assert (await workers[0].get(Gathering())).worker == 1


async def test_folder_that_is_gone_costs_only_the_cache(tmp_path: Path) -> None:
    """Without the folder, and without other workers, each request gathers."""
    for folder in (tmp_path / "gone", None):
        gather = Gathering()
        cache = SumCache(folder)
        assert [(await cache.get(gather)).worker for _ in range(2)] == [1, 2]
