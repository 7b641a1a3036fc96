"""A log in Redis where somebody else wrote, too."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis as Client

from rtdemo.engine.redis import client
from rtdemo.engine.redis.engine import RedisEngine
from tests.clients import eventually
from tests.engine.conftest import Listening, Make
from tests.engine.test_redis_engine import published
from tests.redis_server import RedisServer


def commands(listening: Listening) -> client.Redis:
    assert isinstance(listening.engine, RedisEngine)
    return listening.engine._commands


@pytest.mark.parametrize("identifier", ["*", "2-1", "2-0"])
async def test_entry_of_somebody_else_begins_a_new_log(join: Make, identifier: str) -> None:
    """Everyone is told, and what is published from then on arrives."""
    first, second = await join(), await join()
    (before,) = await first.say("1")
    await eventually(lambda: first.got and second.got)
    await commands(first).xadd("{test}:log", {"a": "b"}, identifier)
    await eventually(lambda: first.restarts == second.restarts == 1)
    (after,) = await published(first, "2")
    assert after.epoch != before.epoch
    await eventually(lambda: first.got[-1] == second.got[-1] and len(first.got) == 2)
    assert [first.engine.state, second.engine.state] == ["ready", "ready"]


async def test_start_at_an_entry_of_somebody_else(join: Make, redis_server: RedisServer) -> None:
    async with Client.from_url(redis_server.url) as redis:
        await redis.xadd("{test}:log", {"a": "b"})
        await redis.hset("{test}:meta", mapping={"epoch": "a", "offset": 3})
    listening = await join()
    await listening.say("1")
    await eventually(lambda: len(listening.got) == 1)


async def test_entry_that_somebody_deleted_begins_a_new_log(join: Make) -> None:
    """Its hole is not met again and again."""
    listening = await join()
    await listening.say("1")
    await eventually(lambda: listening.got)
    engine = listening.engine
    assert isinstance(engine, RedisEngine)
    engine._tasks[0].cancel()
    await asyncio.wait({engine._tasks[0]})
    before = await listening.say("2", "3", "4")
    await commands(listening).xdel("{test}:log", "3-0")
    engine._tasks[0] = asyncio.ensure_future(engine._follow())
    await eventually(lambda: listening.restarts)
    (after,) = await listening.say("5")
    assert after.epoch != before[0].epoch
    await eventually(lambda: listening.got[-1].position == after)
    assert listening.restarts == 1


async def test_state_says_that_the_log_cannot_be_read(join: Make) -> None:
    listening = await join()
    await commands(listening).hset("{test}:meta", "offset", "x")
    await eventually(lambda: "cannot be read: ValueError" in listening.engine.state)
