"""Engines of both kinds, each with a follower that records what the engine reports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from rtdemo.engine.interface import Draft, Engine, Subscriber
from rtdemo.engine.log import Entry, LogLimits
from rtdemo.engine.memory import MemoryEngine
from rtdemo.engine.redis.client import Keys, Redis
from rtdemo.engine.redis.engine import RedisEngine
from rtdemo.protocol.message import Message, Position
from tests.redis_server import RedisServer


class Follower:
    """A server's side of an engine: it records every report.

    Attributes:
        entries: the entries that were delivered.
        ends: the ends of the engine's log that were reported.
        restarts: how often the log continued elsewhere.
        leadership: True for each start as the leader, False for each end.
        presence: what this server reports about itself.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.entries: list[Entry] = []
        self.ends: list[Position] = []
        self.restarts = 0
        self.leadership: list[bool] = []
        self.presence: dict[str, object] = {}

    async def subscribe(self) -> None:
        await self.engine.load()
        self.engine.follow(
            Subscriber(
                self.entries.extend,
                self.ends.append,
                self._restarted,
                self.leadership.append,
                lambda: self.presence,
            )
        )

    def _restarted(self) -> None:
        self.restarts += 1

    @property
    def leads(self) -> bool:
        return self.leadership[-1:] == [True]

    @property
    def ids(self) -> list[str]:
        return [str(entry.position) for entry in self.entries]

    async def publish(self, *texts: str, key: str = "", leading: bool = False) -> list[Position]:
        return await self.engine.publish(drafts(*texts), key, leading)


def drafts(*texts: str, producer: str = "news") -> list[Draft]:
    return [Draft(Message(text), producer) for text in texts]


Make = Callable[..., Awaitable[Follower]]
KEYS = Keys("test")
"""The keys of the deployment that `join` starts by default."""


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """A client for tests that change what Redis holds."""
    async with redis_server.client() as client:
        yield client


@pytest.fixture
async def join(redis_server: RedisServer) -> AsyncIterator[Make]:
    """Start another server on the same Redis: `await join(prefix="other")`."""
    followers: list[Follower] = []

    async def joined(prefix: str = "test", **arguments: Any) -> Follower:
        follower = Follower(RedisEngine(redis_server.url, prefix, **arguments))
        followers.append(follower)
        await follower.subscribe()
        return follower

    yield joined
    for follower in followers:
        await follower.engine.close()


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest, join: Make) -> AsyncIterator[Make]:
    """Start an engine of either kind: `await make(limits=LogLimits(2))`."""
    if request.param == "redis":
        yield join
        return

    async def made(limits: LogLimits | None = None) -> Follower:
        follower = Follower(MemoryEngine(limits))
        await follower.subscribe()
        return follower

    yield made
