"""Pytest fixtures for tests of plugins; pytest loads them by the entry-point group `pytest11`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rtdemo.testing import LiveServer, VirtualClock


@pytest.fixture
def rtdemo_server() -> Callable[..., AbstractAsyncContextManager[LiveServer]]:
    """Return `rtdemo.testing.serve`, which starts the real server.

    Use it as `async with rtdemo_server(dice) as server: ...`.
    """
    # A context manager, not an async fixture: it works with pytest-asyncio in both modes, with
    # pytest-aiohttp and with anyio.
    from rtdemo.testing import serve

    return serve


@pytest.fixture
def rtdemo_clock() -> VirtualClock:
    """Return a clock that moves only by its `advance`."""
    from rtdemo.testing import VirtualClock

    return VirtualClock()
