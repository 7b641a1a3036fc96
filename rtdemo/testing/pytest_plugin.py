"""Give authors' tests their fixtures; pytest finds this by the entry point group `pytest11`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rtdemo.testing import LiveServer, VirtualClock


@pytest.fixture
def rtdemo_server() -> Callable[..., AbstractAsyncContextManager[LiveServer]]:
    """Give `rtdemo.testing.serve`.

    Use it as `async with rtdemo_server(dice) as server: ...`.
    """
    # A context manager and no async fixture: that works alike with pytest-asyncio in either mode,
    # pytest-aiohttp and anyio.
    from rtdemo.testing import serve

    return serve


@pytest.fixture
def rtdemo_clock() -> VirtualClock:
    """Time that passes only when the test says so."""
    from rtdemo.testing import VirtualClock

    return VirtualClock()
