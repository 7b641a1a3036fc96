"""Start the real server for a test, on a free port and with a virtual clock."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp

from rtdemo.hub.outbox import Outbox
from rtdemo.plugin_system.discovery import Source, discover
from rtdemo.plugin_system.producer import Function, Producer
from rtdemo.protocol.client import Transport
from rtdemo.server.server import Server
from rtdemo.settings.folders import bundled
from rtdemo.settings.settings import Settings
from rtdemo.testing import clients
from rtdemo.testing.clients import Peer
from rtdemo.testing.run_producer import as_producer
from rtdemo.testing.virtual_time import VirtualClock

Plugin = str | Path | ModuleType | Producer | Function
START_TIME_S = 1000.0
"""Time of the clock at first."""
SETTLE_TURNS = 8
"""Turns of the loop in which an async run ends that waits for nothing outside the loop."""
CORK_LIMIT_BYTES = 64 * 1024
"""Bytes collected for one client that end the collecting: a quarter of an outbox's limit."""


class LiveServer:
    """A running server, with its clock and its clients.

    Attributes:
        server: the server.
        clock: the server's clock, which only `advance` moves.
    """

    def __init__(
        self, server: Server, clock: VirtualClock, session: aiohttp.ClientSession, cork: Cork
    ) -> None:
        self.server = server
        self.clock = clock
        self._session = session
        self._peers: list[Peer] = []
        self._cork = cork

    async def connect(self, transport: Transport = "websocket", query: str = "") -> Peer:
        """Connect a client, which leaves at the end of the context if not before.

        Arguments:
            transport: `"websocket"` or `"sse"`.
            query: the request's query, such as `speed=2&producers=dice`.

        Raises:
            AssertionError: if the server refuses the client, with its status and text.
        """
        addresses: dict[Transport, str] = {
            "websocket": self.server.websocket_url,
            "sse": f"{self.server.web_url}/api/sse",
        }
        peer = await clients.connect(self._session, transport, addresses, query)
        self._peers.append(peer)
        return peer

    async def advance(self, seconds: float) -> None:
        """Move the clock on, run each producer at its time, and wait until each client has its messages.

        An async producer finishes its run on the way if it waits for nothing outside the event loop.
        `asyncio.sleep` and threads take real time here; only `run_producer` makes that virtual.

        Arguments:
            seconds: virtual seconds.
        """
        end = self.clock.now + seconds
        step_by_step = self._has_async_runs
        while (due := self.clock.next_due) is not None and due <= end:
            with self._cork.active():
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
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)
        # The messages are in the sockets already; the clients need only turns of the loop to read them.
        while any(map(self._is_behind, self._peers)):  # noqa: ASYNC110 - sockets have no event
            await asyncio.sleep(0)

    def _is_behind(self, peer: Peer) -> bool:
        connection = self.server.hub.find(peer.welcome.client or "")
        return connection is not None and peer.is_open and peer.count < connection.sent

    def add(self, plugin: Plugin) -> None:
        """Load one more plugin, for clients that connect from now on.

        Arguments:
            plugin: a file, an imported module, a producer, or a function.

        Raises:
            PluginError: if it cannot be loaded.
        """
        plugins = self.server.plugins
        source = _source(plugin)
        plugins.replace(source)
        plugins.collect_shared(source.name)
        self.server.hub.shared.start()

    async def leave_all(self) -> None:
        """Disconnect every client."""
        for peer in self._peers:
            await peer.leave()


@asynccontextmanager
async def serve(
    *plugins: Plugin, built_in: Iterable[str] = ("welcome", "echo"), **settings: Any
) -> AsyncIterator[LiveServer]:
    """Start a server on a free port of 127.0.0.1, and stop it at the end of the context.

    Use it as `async with serve(dice) as server: ...`. It loads only the given plugins and `built_in`.

    Arguments:
        plugins: each a file, an imported module, a producer, or a function.
        built_in: names of the built-in plugins to load; clients need `welcome`.
        settings: fields of `Settings`, such as `single_site=True`.

    Raises:
        PluginError: if a plugin cannot be loaded.
    """
    folder = str(bundled("plugins"))
    found, _ = discover(folder, [])
    without = tuple({source.name for source in found} - set(built_in))
    local: dict[str, Any] = {"host": "127.0.0.1", "websocket_host": "127.0.0.1"}
    # Virtual time stands still between two texts, so a test would exceed the rate.
    local |= {"texts_per_connection": 0.0, "broadcasts_per_connection": 0.0}
    given = {**local, "port": 0, "websocket_port": 0, "plugins_dir": folder, "without": without}
    # No time passes by itself: the ends of connections cannot be spread over it.
    given["drain_seconds"] = 0.0
    clock = VirtualClock(START_TIME_S)
    cork = Cork()
    server = Server(Settings(**{**given, **settings}), clock=clock, wrap_outbox=cork.wrap)
    await server.start()
    try:
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            live = LiveServer(server, clock, session, cork)
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


class Cork:
    """Collect what the server writes, so that one system call per client sends many messages.

    An hour at 100 connections is 300,000 messages, and a system call for each takes longer than all
    the rest. The cork is active only while no other code can run, so that nothing is sent in between.

    Attributes:
        is_active: whether writes are collected now.
        is_full: whether `CORK_LIMIT_BYTES` are collected for one client.
    """

    def __init__(self) -> None:
        self.is_active = self.is_full = False
        self._outboxes: list[_CorkedOutbox] = []

    def wrap(self, outbox: Outbox) -> Outbox:
        """Return an outbox that writes to another one, except while the cork is active."""
        return _CorkedOutbox(self, outbox)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Collect within the context; write everything at its end."""
        self.is_active = True
        try:
            yield
        finally:
            self.is_active = self.is_full = False
            for outbox in self._outboxes:
                outbox.flush()
            self._outboxes.clear()

    def add(self, outbox: _CorkedOutbox) -> None:
        """Flush an outbox at the end of the context."""
        self._outboxes.append(outbox)


class _CorkedOutbox:
    """Write to an outbox, or collect while the cork is active."""

    def __init__(self, cork: Cork, outbox: Outbox) -> None:
        self._cork = cork
        self._outbox = outbox
        self._collected: list[bytes] = []
        self._size = 0
        self.is_closing = outbox.is_closing

    def write(self, data: bytes, /) -> bool:
        if not self._cork.is_active:
            return self._outbox.write(data)
        if not self._collected:
            self._cork.add(self)
        self._collected.append(data)
        self._size += len(data)
        if self._size > CORK_LIMIT_BYTES:
            self._cork.is_full = True
        return True

    def get_write_buffer_size(self) -> int:
        return self._outbox.get_write_buffer_size() + self._size

    def flush(self) -> None:
        self._outbox.write(b"".join(self._collected))
        self._collected.clear()
        self._size = 0
