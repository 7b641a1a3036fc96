"""Start the real server for a test, on a free port and with time that the test moves."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp

from rtdemo.hub.connection import Connection
from rtdemo.hub.hub import Hub
from rtdemo.hub.outbox import Outbox
from rtdemo.plugin_system.discovery import Source, discover
from rtdemo.plugin_system.producer import Function, Producer
from rtdemo.protocol.client import Client, Transport
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.connection_info import ConnectionInfo
from rtdemo.protocol.wire import WireFormat
from rtdemo.server.server import Server
from rtdemo.settings.folders import bundled
from rtdemo.settings.settings import Settings
from rtdemo.testing import clients
from rtdemo.testing.clients import Peer
from rtdemo.testing.run_producer import as_producer
from rtdemo.testing.virtual_time import VirtualClock

Plugin = str | Path | ModuleType | Producer | Function
START = 1000.0
"""Seconds that the clock shows at first."""
TURNS = 8
"""Turns of the loop in which an async run that waits for nothing outside comes to its end."""


class LiveServer:
    """Hold a server that runs, its clock and its clients.

    Attributes:
        server: the real one.
        clock: moves only by `advance`.
    """

    def __init__(self, server: Server, clock: VirtualClock, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.clock = clock
        self._session = session
        self._peers: list[Peer] = []
        self._cork = Cork(server.hub)

    async def connect(self, transport: Transport = "websocket", query: str = "") -> Peer:
        """Connect a client; it leaves with the server at the latest.

        Arguments:
            transport: `"websocket"` or `"sse"`.
            query: such as `speed=2&producers=dice`.

        Raises:
            AssertionError: with the server's status and sentence, when it refuses.
        """
        addresses: dict[Transport, str] = {
            "websocket": self.server.websocket_url,
            "sse": f"{self.server.web_url}/api/sse",
        }
        peer = await clients.connect(self._session, transport, addresses, query)
        self._peers.append(peer)
        return peer

    async def advance(self, seconds: float) -> None:
        """Let time pass, stopping at each tick, until every client has what was sent to it.

        Async runs that wait for nothing outside come to their end on the way. `asyncio.sleep` and
        threads take real time here; `run_producer` makes that virtual too.
        """
        end = self.clock.now + seconds
        step_by_step = self._has_async_runs
        while (due := self.clock.next_due) is not None and due <= end:
            with self._cork.put_in():
                while due is not None and due <= end:
                    self.clock.advance_to(due)
                    due = self.clock.next_due
                    if step_by_step or self._cork.is_full:
                        break
            await self._settle()
        self.clock.advance_to(end)
        await self._settle()

    @property
    def _has_async_runs(self) -> bool:
        producers = [supervisor.producer for supervisor in self.server.plugins.registry.supervisors]
        return any(p.thread or inspect.iscoroutinefunction(p.function) for p in producers)

    async def _settle(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        # A turn is all that it takes: what was sent lies in the sockets already.
        while any(map(self._is_behind, self._peers)):  # noqa: ASYNC110 - no event: it is sockets
            await asyncio.sleep(0)

    def _is_behind(self, peer: Peer) -> bool:
        connection = self.server.hub.find(peer.welcome.client or "")
        return connection is not None and peer.is_open and peer.count < connection.sent

    def add(self, plugin: Plugin) -> None:
        """Load one more plugin, for whoever connects from now on.

        Raises:
            PluginError: one line on what is wrong with it.
        """
        plugins = self.server.plugins
        source = _source(plugin)
        plugins.replace(source)
        plugins.collect_shared(source.name)
        self.server.hub.shared.start()

    async def leave_all(self) -> None:
        """Let every client leave."""
        for peer in self._peers:
            await peer.leave()


@asynccontextmanager
async def serve(
    *plugins: Plugin, built_in: Iterable[str] = ("welcome", "echo"), **settings: Any
) -> AsyncIterator[LiveServer]:
    """Start a server on 127.0.0.1 and a free port, for as long as the context lasts.

    Use it as `async with serve(dice) as server: ...`. Neither installed plugins nor those of
    ./plugins are loaded.

    Arguments:
        plugins: a file, an imported module, a producer, or a function.
        built_in: which of the bundled plugins run beside them; clients need `welcome`.
        settings: such as `single_site=True`, by the names of `Settings`.

    Raises:
        PluginError: one line on a plugin that cannot be loaded.
    """
    folder = str(bundled("plugins"))
    found, _ = discover(folder, [])
    without = tuple({source.name for source in found} - set(built_in))
    local: dict[str, Any] = {"host": "127.0.0.1", "websocket_host": "127.0.0.1"}
    given = {**local, "port": 0, "websocket_port": 0, "plugins_dir": folder, "without": without}
    clock = VirtualClock(START)
    server = Server(Settings(**{**given, **settings}), clock=clock)
    await server.start()
    try:
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            live = LiveServer(server, clock, session)
            for plugin in plugins:
                live.add(plugin)
            try:
                yield live
            finally:
                await live.leave_all()
    finally:
        await server.stop()


def _source(plugin: Plugin) -> Source:
    if isinstance(plugin, str | Path):
        path = Path(plugin).resolve()
        return next(source for source in discover("", [path])[0] if source.origin == str(path))
    if isinstance(plugin, ModuleType):
        name = plugin.__name__.rpartition(".")[2]
        return Source(name, getattr(plugin, "__file__", None) or name, lambda: plugin)
    producer = as_producer(plugin)
    return Source(producer.name, "test", lambda: SimpleNamespace(producer=producer))


ENOUGH = 64 * 1024
"""Bytes held back for one client, a quarter of its outbox's limit, that end the holding back."""


class Cork:
    """Collect a hub's writes while it is in; one system call then sends what was many.

    An hour at 100 connections is 300,000 messages: a system call for each takes longer than the
    rest together. It is in only while no other code can run, so nothing overtakes what it holds.

    Attributes:
        is_full: whether a client has so much waiting that it should be sent.
    """

    def __init__(self, hub: Hub) -> None:
        self.is_in = self.is_full = False
        self._held: list[_CorkedOutbox] = []
        self._new_connection = hub.new_connection
        hub.new_connection = self._corked  # type: ignore[method-assign]  # the only way to each outbox

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """Hold back meanwhile; afterwards everything is written."""
        self.is_in = True
        try:
            yield
        finally:
            self.is_in = self.is_full = False
            for outbox in self._held:
                outbox.flush()
            self._held.clear()

    def hold(self, outbox: _CorkedOutbox) -> None:
        """Remember an outbox that holds something back."""
        self._held.append(outbox)

    def _corked(
        self,
        client: Client,
        outbox: Outbox,
        wire_format: WireFormat,
        hang_up: Callable[[Reason], object],
        connection_info: Callable[[], ConnectionInfo] | None = None,
    ) -> Connection:
        corked = _CorkedOutbox(self, outbox)
        return self._new_connection(client, corked, wire_format, hang_up, connection_info)


class _CorkedOutbox:
    """Write to a transport, or keep for later."""

    def __init__(self, cork: Cork, outbox: Any) -> None:
        self._cork = cork
        self._outbox = outbox
        self._held: list[bytes] = []
        self._size = 0
        self.is_closing = outbox.is_closing

    def write(self, data: bytes) -> bool:
        if not self._cork.is_in:
            waits: bool = self._outbox.write(data)
            return waits
        if not self._held:
            self._cork.hold(self)
        self._held.append(data)
        self._size += len(data)
        if self._size > ENOUGH:
            self._cork.is_full = True
        return True

    def get_write_buffer_size(self) -> int:
        waiting: int = self._outbox.get_write_buffer_size()
        return waiting + self._size

    def flush(self) -> None:
        self._outbox.write(b"".join(self._held))
        self._held.clear()
        self._size = 0
