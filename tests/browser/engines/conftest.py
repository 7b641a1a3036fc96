"""Engines that run for a session, and a server behind a path that a test breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browser.engines.by_name import ENGINES
from tests.browser.engines.engine import Engine
from tests.browser.outages import TICKS
from tests.browser.truth import NO_LIMIT
from tests.cluster.process import Process, rtdemo
from tests.tcp_proxy import TcpProxy


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["firefox", "webkit"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """Each engine but Chromium, once for all of its tests."""
    async with ENGINES[request.param]() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """Serve four messages a second beside the built-in ones, once for all tests."""
    folder = tmp_path_factory.mktemp("served")
    plugin = folder / "ticks.py"
    plugin.write_text(TICKS)
    server = rtdemo(folder, "server", *NO_LIMIT, str(plugin))
    await server.start()
    yield server
    await server.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(served: Process) -> AsyncIterator[TcpProxy]:
    """The path to the server, which a test may break."""
    path = TcpProxy(served.port)
    await path.start()
    yield path
    await path.close()


@pytest.fixture
def url(proxy: TcpProxy) -> str:
    """The page's address."""
    return f"http://127.0.0.1:{proxy.port}/"
