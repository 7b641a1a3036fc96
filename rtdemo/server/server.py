"""Run the server: open the sites, print where they are, and close everything in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from rtdemo.engine import factory
from rtdemo.hub.hub import Hub
from rtdemo.plugin_system.discovery import Source, discover, plugin_folders
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.server.reload import Reloader
from rtdemo.server.sockets import Inheritance, bind, sites
from rtdemo.settings.settings import Settings
from rtdemo.timing.loop_lag import LoopLag
from rtdemo.timing.schedule import Clock, LoopClock, Schedule
from rtdemo.web import aggregate
from rtdemo.web.app import create_app
from rtdemo.web.app_keys import Sites, Started
from rtdemo.web.other_workers import CounterFiles, OtherWorkers

log = logging.getLogger(__name__)

DRAIN_GRACE = 2.5
"""Seconds for clients to close; with what follows, the process ends within 5 s of its signal."""
SHUTDOWN_TIMEOUT = 0.5
EXIT_LIMIT = 4.5
"""Seconds after the signal at which the process ends in any case."""
IDLE_TIMEOUT = 75.0
"""Seconds for which a connection may wait between requests, or take for its first."""
BACKLOG = 4096
MAX_HEADER = 32 * 1024
"""Bytes of a request line or a header."""

_EVERY_INTERFACE = ("", "0.0.0.0", "::")  # noqa: S104 - only compared with, to show a name


class Server:
    """Serve the application on its sites, from `start` to `stop`.

    Arguments:
        settings: what `settings.load` built.
        files: plugin files, loaded after all others.
        clock: where the producers' ticks stand; the running loop by default.
        heir: of a worker, what it got from its parent.

    Attributes:
        plugins: what was loaded.
        hub: who is connected.
    """

    def __init__(
        self,
        settings: Settings,
        files: Iterable[Path] = (),
        clock: Clock | None = None,
        heir: Inheritance | None = None,
    ) -> None:
        self.settings = heir.settled(settings) if heir is not None else settings
        self._files = list(files)
        self._clock = clock
        self._heir = heir
        self._sites = Sites()
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Future[None] | None = None
        self._loop_lag: LoopLag
        self._other_workers: OtherWorkers
        self.plugins: PluginManager
        self.hub: Hub

    @property
    def web_url(self) -> str:
        """The page's address, such as `http://localhost:3000`."""
        return f"http://{_shown(self.settings.host)}:{self._sites.web}"

    @property
    def websocket_url(self) -> str:
        """The WebSocket's address: its own site's, or /ws on the web site."""
        if self._sites.websocket is None:
            return f"ws://{_shown(self.settings.host)}:{self._sites.web}/ws"
        return f"ws://{_shown(self.settings.websocket_host)}:{self._sites.websocket}/"

    async def start(self) -> None:
        """Load the plugins and open the sites.

        Raises:
            PluginError: when one fails to load and `strict_plugins` is set.
            EngineError: when the engine cannot be used.
            ListenError: when an address cannot be opened.
        """
        loop = asyncio.get_running_loop()
        clock = self._clock or LoopClock(loop)
        self.plugins = PluginManager(clock.time)
        self._load_plugins()
        self.plugins.ask_shared()
        names, lab = self.settings.publish_names, self.settings.lab
        engine = await factory.load(self.settings)
        self.hub = Hub(self.plugins, Schedule(clock), engine, names, lab)
        self.hub.follow()
        folder, age = None, 0.0
        if self._heir is not None:
            folder, age = Path(self._heir.folder), time.monotonic() - self._heir.since
        started = Started(loop.time() - age)
        self._other_workers = OtherWorkers(folder)
        app = create_app(
            self.settings, self.hub, self._sites, started, self._other_workers, CounterFiles(folder)
        )
        self._loop_lag = started.loop_lag
        # Cancellation is how a stream's handler learns that its client is gone.
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            # A body of 500 KB can unpack to 500 MB, and would be unpacked for any path.
            auto_decompress=False,
            keepalive_timeout=IDLE_TIMEOUT,
            shutdown_timeout=SHUTDOWN_TIMEOUT,
            # A `last_event_id` of any length is answered by us, with what it means.
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
        )
        try:
            await self._runner.setup()
            await self._open_sites(self._runner)
        except BaseException:
            await self.hub.engine.close()
            await self._runner.cleanup()
            raise
        self._loop_lag.start()
        if self.settings.reload:
            reloader = Reloader(self.hub, self._discover)
            folders = plugin_folders(self.settings.plugins_dir, self._files)
            self._watching = asyncio.ensure_future(reloader.watch(folders))

    def _discover(self) -> list[Source]:
        sources, _ = discover(self.settings.plugins_dir, self._files)
        return [source for source in sources if source.name not in self.settings.without]

    def _load_plugins(self) -> None:
        sources, replaced = discover(self.settings.plugins_dir, self._files)
        for line in replaced:
            log.info("%s", line)
        without = set(self.settings.without)
        for name in sorted(without - {source.name for source in sources}):
            log.warning("--without %s: there is no plugin of this name", name)
        errors = self.plugins.load(s for s in sources if s.name not in without)
        for error in errors:
            if self.settings.strict_plugins:
                raise error
            log.error("%s; it is left out", error)

    async def _open_sites(self, runner: web.AppRunner) -> None:
        opened = []
        given = self._heir.open() if self._heir is not None else None
        for prefix, host, port in sites(self.settings):
            sockets = given[prefix] if given is not None else bind(prefix, host, port)
            opened.append(sockets[0].getsockname()[1])
            for sock in sockets:
                await web.SockSite(runner, sock, backlog=BACKLOG).start()
        if self._other_workers.own_socket is not None:
            await web.UnixSite(runner, self._other_workers.own_socket).start()
        self._sites.web = opened[0]
        self._sites.websocket = opened[1] if len(opened) > 1 else None

    async def stop(self) -> None:
        """Refuse new connections, end the open ones, and let go of everything."""
        if self._runner is None:
            return
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        for site in list(self._runner.sites):
            await site.stop()
        orphaned = self._heir is not None and self._heir.is_orphaned
        self._other_workers.close(orphaned)
        await self.hub.drain(DRAIN_GRACE)
        await self._runner.cleanup()
        if not orphaned and self._runner.app is not None:
            # The parent adds it to what those that are gone had counted.
            aggregate.own(self._runner.app)
        await self.hub.engine.close()
        self._loop_lag.stop()
        self.hub.schedule.close()
        self._runner = None

    async def run(self) -> None:
        """Serve until SIGINT, SIGTERM or the terminal's SIGHUP; a worker's parent minds the last."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Not aiohttp's own handling: under asyncio.run it exits with 1.
            loop.add_signal_handler(number, stopping.set)
        # Under nohup it is ignored already.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Not SIG_IGN: what a plugin starts would inherit it.
            loop.add_signal_handler(signal.SIGHUP, stopping.set if self._heir is None else _ignore)
        await self.start()
        if self._heir is None or self._heir.announce:
            self._announce()
        if self._heir is not None:
            self._heir.on_orphaned(stopping.set)
            self._heir.tell_ready()
        await stopping.wait()
        _exit_in_time()
        log.info("stopping: closing %d connections", len(self.hub))
        await self.stop()

    def _announce(self) -> None:
        print(f"rtdemo: page, SSE, API  {self.web_url}/")
        print(f"rtdemo: WebSocket       {self.websocket_url}")
        names = ", ".join(plugin.name for plugin in self.plugins.plugins)
        print(f"rtdemo: plugins         {names or 'none'}", flush=True)


def _ignore() -> None:
    """Do nothing about a signal."""


def _exit_in_time() -> None:
    """End the process at its limit, whatever a plugin's thread or task still does."""
    watchdog = threading.Timer(EXIT_LIMIT, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _shown(host: str) -> str:
    if host in _EVERY_INTERFACE:
        return "localhost"
    return f"[{host}]" if ":" in host else host
