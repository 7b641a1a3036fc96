"""Run the server: open the sites, print their addresses, and close everything in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from ssl import SSLContext

from aiohttp import web

from rtdemo.engine import factory
from rtdemo.hub.hub import Hub
from rtdemo.hub.outbox import Outbox
from rtdemo.plugin_system.discovery import Source, discover, plugin_folders
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.server.descriptors import BoundedSite, Descriptors
from rtdemo.server.open_files import limit_of_process
from rtdemo.server.reload import Reloader
from rtdemo.server.sockets import WorkerHandover, bind, end_unacknowledged, sites
from rtdemo.settings.settings import Settings
from rtdemo.timing.loop_lag import LoopLag
from rtdemo.timing.schedule import Clock, LoopClock, Schedule
from rtdemo.web import aggregate
from rtdemo.web.app import create_app
from rtdemo.web.app_keys import Sites, Started
from rtdemo.web.login import Login
from rtdemo.web.other_workers import CounterFiles, OtherWorkers
from rtdemo.web.tickets import Tickets, values_for
from rtdemo.web.tokens import TokenVerifier, load_verifier

log = logging.getLogger(__name__)

DRAIN_TIMEOUT_S = 2.5
"""Seconds for clients to close. With all later steps, the process exits within 5 s of its signal."""
REQUEST_TIMEOUT_S = 0.5
"""Seconds for requests that still run after that."""
EXIT_TIMEOUT_S = 4.5
"""Seconds after the signal at which the process exits, even if something still runs."""
KEEPALIVE_TIMEOUT_S = 75.0
"""Seconds for a connection's first request, and between two of its requests."""
MAX_HEADER_BYTES = 32 * 1024
"""Bytes of a request line or a header."""

_EVERY_INTERFACE = ("", "0.0.0.0", "::")  # noqa: S104 - only compared with, to print a name


class Server:
    """Serve the application on its sites, from `start` to `stop`.

    Arguments:
        settings: as returned by `settings.load`.
        files: plugin files, loaded after all other plugins.
        clock: clock of the producers; by default that of the running loop.
        handover: in a worker process, what its parent handed over; else None.
        wrap_outbox: see `Hub`; for tests.
        ssl_context: for TLS on every site; by default there is none.

    Attributes:
        settings: the settings in use; in a worker, with the addresses of its parent.
        files: the plugin files; a reload reads this list again.
        plugins: the loaded plugins; set by `start`.
        hub: the connections; set by `start`.
    """

    def __init__(
        self,
        settings: Settings,
        files: Iterable[Path] = (),
        clock: Clock | None = None,
        handover: WorkerHandover | None = None,
        wrap_outbox: Callable[[Outbox], Outbox] | None = None,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self.settings = handover.with_parent_addresses(settings) if handover is not None else settings
        self.files = list(files)
        self._clock = clock
        self._handover = handover
        self._wrap_outbox = wrap_outbox
        self._ssl_context = ssl_context
        self._tls = "s" if ssl_context is not None else ""
        self._sites = Sites()
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Future[None] | None = None
        self._loop_lag: LoopLag
        self._verifier: TokenVerifier | None
        self._other_workers: OtherWorkers
        self._descriptors: Descriptors
        self.plugins: PluginManager
        self.hub: Hub

    @property
    def web_url(self) -> str:
        """URL of the web site, such as `http://localhost:3000`."""
        return f"http{self._tls}://{_printed_host(self.settings.host)}:{self._sites.web}"

    @property
    def websocket_url(self) -> str:
        """URL of the WebSocket: on its own site, or /ws on the web site."""
        if self._sites.websocket is None:
            return f"ws{self._tls}://{_printed_host(self.settings.host)}:{self._sites.web}/ws"
        return f"ws{self._tls}://{_printed_host(self.settings.websocket_host)}:{self._sites.websocket}/"

    async def start(self) -> None:
        """Load the plugins and open the sites.

        Raises:
            SettingError: if the file of `jwks` cannot be used.
            PluginError: if one fails to load and `strict_plugins` is set.
            EngineError: if the engine cannot be used.
            ListenError: if an address cannot be opened.
        """
        loop = asyncio.get_running_loop()
        clock = self._clock or LoopClock(loop)
        self._verifier = load_verifier(self.settings)
        self.plugins = PluginManager(clock.time)
        self._load_plugins()
        self.plugins.collect_shared()
        names, lab = self.settings.publish_names, self.settings.lab
        engine = await factory.load(self.settings)
        self.hub = Hub(self.plugins, Schedule(clock), engine, names, lab, self._wrap_outbox)
        self.hub.follow()
        folder, age = None, 0.0
        if self._handover is not None:
            folder, age = Path(self._handover.folder), time.monotonic() - self._handover.since
        started = Started(loop.time() - age)
        self._other_workers = OtherWorkers(folder)
        heartbeats = Schedule(LoopClock(loop))
        app = create_app(
            self.settings,
            self.hub,
            heartbeats,
            self._sites,
            started,
            self._other_workers,
            CounterFiles(folder),
            Login(
                self.hub,
                self._verifier,
                Tickets(values_for(engine, folder)),
                self.settings.require_login,
            ),
        )
        self._loop_lag = started.loop_lag
        self._runner = web.AppRunner(
            app,
            access_log=None,
            tcp_keepalive=False,  # it is on already: see INHERITED_OPTIONS
            # A body of 500 KB can unpack to 500 MB, and aiohttp would unpack it on any path.
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            shutdown_timeout=REQUEST_TIMEOUT_S,
            # We answer a `last_event_id` of any length ourselves, with a helpful text.
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        try:
            await self._runner.setup()
            self._descriptors = Descriptors(self._runner, self.hub, LoopClock(loop), limit_of_process())
            await self._open_sites(self._runner)
            self._descriptors.start()
        except BaseException:
            await self.hub.engine.close()
            await self._runner.cleanup()
            raise
        self._loop_lag.start()
        if self.settings.reload:
            reloader = Reloader(self.hub, self.discover)
            folders = plugin_folders(self.settings.plugins_dir, self.files)
            self._watching = asyncio.ensure_future(reloader.watch(folders))

    def discover(self) -> list[Source]:
        """Return the sources of all plugins that exist now, except those that --without names."""
        sources, _ = discover(self.settings.plugins_dir, self.files)
        return [source for source in sources if source.name not in self.settings.without]

    def _load_plugins(self) -> None:
        sources, replaced = discover(self.settings.plugins_dir, self.files)
        for line in replaced:
            log.info("%s", line)
        without = set(self.settings.without)
        for name in sorted(without - {source.name for source in sources}):
            log.warning("--without %s: no plugin has this name", name)
        errors = self.plugins.load(s for s in sources if s.name not in without)
        for error in errors:
            if self.settings.strict_plugins:
                raise error
            log.error("%s; it is left out", error)

    async def _open_sites(self, runner: web.AppRunner) -> None:
        opened = []
        given = self._handover.open_sockets() if self._handover is not None else None
        for prefix, host, port in sites(self.settings):
            sockets = given[prefix] if given is not None else bind(prefix, host, port)
            opened.append(sockets[0].getsockname()[1])
            for sock in sockets:
                end_unacknowledged(sock, self.settings.heartbeat)
                await BoundedSite(runner, sock, self._ssl_context, self._descriptors).start()
        if self._other_workers.own_socket is not None:
            await web.UnixSite(runner, self._other_workers.own_socket).start()
        self._sites.web = opened[0]
        self._sites.websocket = opened[1] if len(opened) > 1 else None

    async def stop(self) -> None:
        """Refuse new connections, end the open ones, and release all resources."""
        if self._runner is None:
            return
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        for site in list(self._runner.sites):
            await site.stop()
        orphaned = self._handover is not None and self._handover.is_orphaned
        self._other_workers.close(orphaned)
        await self.hub.drain(DRAIN_TIMEOUT_S)
        await self._runner.cleanup()
        if not orphaned and self._runner.app is not None:
            # Writes the last counters to their file: the parent adds them to those of former workers.
            aggregate.own(self._runner.app)
        self.hub.connection_log.flush()
        await self.hub.engine.close()
        self._loop_lag.stop()
        self._descriptors.close()
        self.hub.schedule.close()
        self._runner = None

    async def run(self) -> None:
        """Serve until SIGINT, SIGTERM, or SIGHUP, which a closed terminal sends.

        In a worker SIGHUP is ignored: its parent handles it.
        """
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Not aiohttp's own handling: under asyncio.run it exits with 1.
            loop.add_signal_handler(number, stopping.set)
        # nohup has it ignored already.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Not SIG_IGN: programs that a plugin starts would inherit it.
            loop.add_signal_handler(signal.SIGHUP, stopping.set if self._handover is None else _ignore)
        await self.start()
        if self._handover is None or self._handover.announce:
            self._print_addresses()
        if self._handover is not None:
            self._handover.on_parent_exit(stopping.set)
            self._handover.signal_ready()
        # What is loaded now stays: a collection of garbage need not look at it each time.
        gc.collect()
        gc.freeze()
        await stopping.wait()
        _exit_after_timeout()
        log.info("stopping: closing %d connections", len(self.hub))
        await self.stop()

    def _print_addresses(self) -> None:
        print(f"rtdemo: page, SSE, API  {self.web_url}/")
        print(f"rtdemo: WebSocket       {self.websocket_url}")
        names = ", ".join(plugin.name for plugin in self.plugins.plugins)
        print(f"rtdemo: plugins         {names or 'none'}", flush=True)


def _ignore() -> None:
    """Ignore a signal."""


def _exit_after_timeout() -> None:
    """Exit after EXIT_TIMEOUT_S, even if a thread or task of a plugin still runs."""
    watchdog = threading.Timer(EXIT_TIMEOUT_S, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _printed_host(host: str) -> str:
    if host in _EVERY_INTERFACE:
        return "localhost"
    return f"[{host}]" if ":" in host else host
