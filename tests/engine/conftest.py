"""Engines of both kinds, and what a server would do with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rtdemo.engine.interface import Draft, Engine, Subscriber
from rtdemo.engine.log import Entry, LogLimits
from rtdemo.engine.memory import MemoryEngine
from rtdemo.engine.redis.engine import RedisEngine
from rtdemo.protocol.message import Message, Position
from tests.redis_server import RedisServer


class Listening:
    """An engine and what it told so far."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.got: list[Entry] = []
        self.ends: list[Position] = []
        self.restarts = 0
        self.leading: list[bool] = []
        self.presence: dict[str, object] = {}

    async def subscribe(self) -> None:
        await self.engine.load()
        self.engine.follow(
            Subscriber(
                self.got.append,
                self.ends.append,
                self._restarted,
                self.leading.append,
                lambda: self.presence,
            )
        )

    def _restarted(self) -> None:
        self.restarts += 1

    @property
    def leads(self) -> bool:
        return self.leading[-1:] == [True]

    @property
    def ids(self) -> list[str]:
        return [str(made.position) for made in self.got]

    async def say(self, *texts: str, key: str = "", leading: bool = False) -> list[Position]:
        return await self.engine.publish(drafts(*texts), key, leading)


def drafts(*texts: str, producer: str = "news") -> list[Draft]:
    return [Draft(Message(text), producer) for text in texts]


Make = Callable[..., Awaitable[Listening]]


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def join(redis_server: RedisServer) -> AsyncIterator[Make]:
    """One more server on the same Redis: `await join(prefix="other")`."""
    made: list[Listening] = []

    async def joined(prefix: str = "test", **arguments: Any) -> Listening:
        listening = Listening(RedisEngine(redis_server.url, prefix, **arguments))
        made.append(listening)
        await listening.subscribe()
        return listening

    yield joined
    for listening in made:
        await listening.engine.close()


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest, join: Make) -> AsyncIterator[Make]:
    """An engine of either kind: `await make(limits=Limits(2))`."""
    if request.param == "redis":
        yield join
        return

    async def made(limits: LogLimits | None = None) -> Listening:
        listening = Listening(MemoryEngine(limits))
        await listening.subscribe()
        return listening

    yield made
