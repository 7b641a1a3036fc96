"""A log in Redis that another program has written to."""

from __future__ import annotations

import itertools

import pytest

from rtdemo.engine.redis.client import Redis
from rtdemo.engine.redis.engine import RedisEngine
from tests.clients import eventually
from tests.engine.conftest import KEYS, Make
from tests.engine.test_redis_engine import published
from tests.redis_server import paused_reader


@pytest.mark.parametrize("identifier", ["*", "2-1", "2-0"])
async def test_foreign_entry_begins_a_new_log(join: Make, redis: Redis, identifier: str) -> None:
    """Every server restarts its log, and later messages arrive."""
    first, second = await join(), await join()
    (before,) = await first.publish("1")
    await eventually(lambda: first.entries and second.entries)
    await redis.xadd(KEYS.log, {"a": "b"}, identifier)
    await eventually(lambda: first.restarts == second.restarts == 1)
    (after,) = await published(first, "2")
    assert after.epoch != before.epoch
    await eventually(lambda: first.entries[-1] == second.entries[-1] and len(first.entries) == 2)
    assert [first.engine.state, second.engine.state] == ["ready", "ready"]


async def test_foreign_entry_while_a_new_log_begins(
    join: Make, redis: Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other program writes again between two commands of the restart: another new log begins."""
    follower = await join()
    await follower.publish("1")
    await eventually(lambda: follower.entries)
    assert isinstance(follower.engine, RedisEngine)
    publisher = follower.engine._publisher
    ensure_epoch, times = publisher.ensure_epoch, itertools.count()

    async def then_write(afresh: bool = False) -> None:
        await ensure_epoch(afresh)
        if next(times) == 0:
            await redis.xadd(KEYS.log, {"a": "b"}, "7-0")

    monkeypatch.setattr(publisher, "ensure_epoch", then_write)
    await redis.xadd(KEYS.log, {"a": "b"}, "5-0")
    await eventually(lambda: follower.restarts == 2)
    await published(follower, "2")
    await eventually(lambda: len(follower.entries) == 2)
    assert "reading the log failed" not in caplog.text


async def test_start_with_a_foreign_entry_in_the_log(join: Make, redis: Redis) -> None:
    """The server begins a new log, and messages arrive."""
    await redis.xadd(KEYS.log, {"a": "b"})
    await redis.hset(KEYS.meta, mapping={"epoch": "a", "offset": 3})
    follower = await join()
    await follower.publish("1")
    await eventually(lambda: len(follower.entries) == 1)


async def test_deleted_entry_begins_a_new_log(join: Make, redis: Redis) -> None:
    """The gap is reported once, not again at every read."""
    follower = await join()
    await follower.publish("1")
    await eventually(lambda: follower.entries)
    async with paused_reader(follower.engine):
        before = await follower.publish("2", "3", "4")
        await redis.xdel(KEYS.log, "3-0")
    await eventually(lambda: follower.restarts)
    (after,) = await follower.publish("5")
    assert after.epoch != before[0].epoch
    await eventually(lambda: follower.entries[-1].position == after)
    assert follower.restarts == 1


async def test_state_reports_that_the_log_cannot_be_read(join: Make, redis: Redis) -> None:
    """The state names the error."""
    follower = await join()
    await redis.hset(KEYS.meta, "offset", "x")
    await eventually(lambda: "cannot be read: ValueError" in follower.engine.state)
