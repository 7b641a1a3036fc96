"""Start the real server with one of the examples, and see whether its generator runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rtdemo.plugin_system.supervisor import Supervisor
from rtdemo.server.server import Server
from tests.conftest import Start

EXAMPLES = Path(__file__).parents[2] / "examples"

Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
def serve(start: Start, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Serve an example with its settings: `await serve("tail_file", PATH="x.log")`."""

    async def served(name: str, **settings: object) -> Server:
        for setting, value in settings.items():
            monkeypatch.setenv(f"RTDEMO_{name.upper()}_{setting}", str(value))
        return await start(files=(EXAMPLES / f"{name}.py",), strict_plugins=True)

    return served


def is_generator_running() -> bool:
    """Return whether a task of the loop iterates over an async generator of a plugin."""
    coroutines = (task.get_coro() for task in asyncio.all_tasks())
    return any(getattr(c, "cr_code", None) is Supervisor.stream.__code__ for c in coroutines)
