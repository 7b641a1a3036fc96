"""Start the real server on free ports, with time that tests move, and connect clients to it."""

from __future__ import annotations

import os
import signal
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest
import uvloop
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import settings

from rtdemo.hub.outbox import Outbox
from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings
from rtdemo.testing import VirtualClock
from tests.checked_loop import CheckedLoop
from tests.clients import CONNECT, Peer
from tests.pauseless_loop import PauselessLoop

pytest_plugins = [
    *("tests.redis_server", "tests.running_alone", "tests.tls_client"),
    *("tests.uncovered", "tests.made_once", "tests.quick_start"),
]
# The same examples in each run: a change fails by its own faults. The profile `default` draws others.
settings.load_profile("ci")
Start = Callable[..., Awaitable[Server]]
UNLIMITED = {"texts_per_connection": 0.0, "control_frames_per_connection": 0.0}
"""Settings for a test that is about what the server does with more than the limits allow."""
Connect = Callable[..., Awaitable[Peer]]


def pytest_configure() -> None:
    """Let programs that tests start receive SIGINT and SIGHUP, and let servers take their time.

    A shell starts a job in the background, and nohup any job, with these signals ignored, and programs
    inherit that. The tests of interrupts send them.
    """
    # A busy machine may not answer within the 5 s that httpx waits.
    for kind in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, kind, 60.0)
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], AbstractEventLoop]]:
    """Run tests on asyncio's loop, or on those that `mark.asyncio(loop_factories=...)` names.

    These are that of the server, and one whose clock stops while the machine does.
    """
    loops: dict[str, Callable[[], AbstractEventLoop]] = {"asyncio": CheckedLoop}
    if any("loop_factories" in mark.kwargs for mark in item.iter_markers("asyncio")):
        loops |= {"uvloop": uvloop.new_event_loop, "pauseless": PauselessLoop}
    return loops


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the processes for `-n auto`: 0 beside its own for a selection, else 2 a core and 2 more.

    A selection is `-k`, `-m`, `--lf` or names of files. It takes less time than the start of more
    processes. Most tests wait for most of their time: with four processes, two cores idled for a third.
    Each process takes 5 s of CPU time to start.
    """
    options = config.option
    narrowed = options.keyword or options.markexpr or options.lf or options.collectonly
    if narrowed or all(Path(name.partition("::")[0]).is_file() for name in config.args):
        return 0
    return (os.cpu_count() or 1) * 2 + 2


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each reason for which tests were skipped, once, with their number."""
    reports = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(report.longrepr[2] for report in reports).items():
        terminalreporter.write_line(f"{count} tests skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture
def clock() -> VirtualClock:
    """Time that passes only when the test says so."""
    return VirtualClock(start=1000.0)


@pytest.fixture
async def start(clock: VirtualClock) -> AsyncIterator[Start]:
    """Start a server: `await start(files=[...], single_site=True, ...)`; it dies with the test."""
    servers: list[Server] = []

    async def started(
        files: tuple[Path, ...] = (),
        real_time: bool = False,
        wrap_outbox: Callable[[Outbox], Outbox] | None = None,
        ssl_context: SSLContext | None = None,
        **changes: Any,
    ) -> Server:
        local: dict[str, Any] = {
            "host": "127.0.0.1",
            "websocket_host": "127.0.0.1",
            "port": 0,
            "websocket_port": 0,
            "drain_seconds": 0.0,
        }
        # Most tests count what one connection gets; those of shared messages ask for it.
        local["without"] = ("broadcast",)
        time = None if real_time else clock
        given = Settings(**{**local, **changes})
        server = Server(given, files, time, wrap_outbox=wrap_outbox, ssl_context=ssl_context)
        await server.start()
        servers.append(server)
        return server

    yield started
    for server in servers:
        await server.stop()


@pytest.fixture
async def server(start: Start) -> Server:
    """Serve the built-in plugins that are private."""
    return await start()


@pytest.fixture(params=["websocket", "sse"])
def transport(request: pytest.FixtureRequest) -> str:
    """Both transports: the promise is the same."""
    return str(request.param)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connect a client: `await connect(server, transport, "speed=2")`; it leaves with the test."""
    async with AsyncExitStack() as stack:

        async def connected(server: Server, transport: str, query: str = "") -> Peer:
            return await stack.enter_async_context(CONNECT[transport](server, query))

        yield connected
