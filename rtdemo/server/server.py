"""Run the server: open the sites, print their addresses, and close everything in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING

from aiohttp import web

from rtdemo.engine import factory
from rtdemo.hub.hub import Hub
from rtdemo.hub.outbox import Outbox
from rtdemo.plugin_system.discovery import Source, discover, plugin_folders
from rtdemo.plugin_system.manager import PluginManager
from rtdemo.publisher import this_process
from rtdemo.publisher.server_address import DEFAULT_URL, URL_VARIABLE
from rtdemo.publisher.this_process import RunningServer
from rtdemo.server.descriptors import BoundedSite, Descriptors
from rtdemo.server.open_files import limit_of_process
from rtdemo.server.reload import Reloader
from rtdemo.server.socket_activation import NOT_ACTIVATED, Activated, with_addresses
from rtdemo.server.sockets import (
    WORKER_SIGNALS,
    WorkerHandover,
    bind,
    end_unacknowledged,
    sites,
)
from rtdemo.server.tls import Certificate
from rtdemo.settings.settings import Settings
from rtdemo.timing.loop_lag import LoopLag
from rtdemo.timing.schedule import Clock, LoopClock, Schedule
from rtdemo.web import access, aggregate
from rtdemo.web.app import create_app
from rtdemo.web.app_keys import Sites, Started
from rtdemo.web.http_connection import HttpRunner
from rtdemo.web.login import Login
from rtdemo.web.other_workers import CounterFiles, OtherWorkers
from rtdemo.web.publish_here import PublisherHere
from rtdemo.web.tickets import Tickets, values_for

if TYPE_CHECKING:
    from rtdemo.web.tokens import TokenVerifier

log = logging.getLogger(__name__)

DRAIN_TIMEOUT_S = 2.5
"""Seconds for clients to close after the last connection was ended."""
AT_ONCE_TIMEOUT_S = 0.5
"""Seconds for clients to close after a second signal, which ends all connections at once."""
REQUEST_TIMEOUT_S = 0.5
"""Seconds for requests that still run after that."""
LAST_REQUESTS_S, LAST_REQUESTS_CHECK_S = 1.0, 0.02
"""Longest wait for the requests of accepted connections before a replaced worker drains, and the time
between two looks."""
EXIT_TIMEOUT_S = 4.5
"""Seconds after the drain, or after a second signal, in which the process exits whatever still runs."""

COLLECT_AFTER = 3000
"""New objects after which Python looks for garbage among them. With its default, 700, a storm of
connects spent a twentieth of its CPU time on that: one look for 27 connects."""

_EVERY_INTERFACE = ("", "0.0.0.0", "::")  # noqa: S104 - only compared with, to print a name


class Server:
    """Serve the application on its sites, from `start` to `stop`.

    Arguments:
        settings: as returned by `settings.load`.
        files: plugin files, loaded after all other plugins.
        clock: clock of the producers; by default that of the running loop.
        handover: in a worker process, what its parent handed over; else None.
        wrap_outbox: see `Hub`; for tests.
        ssl_context: for TLS on every site; by default that of `tls_cert`, if this is set.
        activated: listening sockets that this process was started with, for the sites that they are for.

    Attributes:
        settings: the settings in use, with the addresses of `activated`, or in a worker of its parent.
        files: the plugin files; a reload reads this list again.
        plugins: the loaded plugins; set by `start`.
        hub: the connections; set by `start`.
        certificate: that of `tls_cert`; None without TLS, or if `ssl_context` is given.

    Raises:
        SettingError: if the certificate cannot be used.
        RtdemoError: if `activated` has sockets for a site that is not served.
    """

    def __init__(
        self,
        settings: Settings,
        files: Iterable[Path] = (),
        clock: Clock | None = None,
        handover: WorkerHandover | None = None,
        wrap_outbox: Callable[[Outbox], Outbox] | None = None,
        ssl_context: SSLContext | None = None,
        activated: Activated = NOT_ACTIVATED,
    ) -> None:
        settings = with_addresses(settings, activated)
        self.settings = handover.with_parent_addresses(settings) if handover is not None else settings
        self.files = list(files)
        self._clock = clock
        self._handover = handover
        self._activated = activated
        self._wrap_outbox = wrap_outbox
        self.certificate: Certificate | None = None
        if self.settings.tls_cert and ssl_context is None:
            self.certificate = Certificate(self.settings)
            ssl_context = self.certificate.context
        self._ssl_context = ssl_context
        self._tls = "s" if ssl_context is not None else ""
        self._sites = Sites()
        self._listening: list[web.SockSite] = []
        self._stopping = asyncio.Event()
        self._drain_timeout: asyncio.Timeout | None = None
        self._is_urgent = self._is_retired = False
        self._runner: HttpRunner | None = None
        self._watching: asyncio.Future[None] | None = None
        self._loop_lag: LoopLag
        self._published_here: RunningServer
        self._other_workers: OtherWorkers
        self._login: Login
        self._descriptors: Descriptors
        self.plugins: PluginManager
        self.hub: Hub

    @property
    def web_url(self) -> str:
        """URL of the web site, such as `http://localhost:3000`, with the base path."""
        host, path = _printed_host(self.settings.host), self.settings.base_path
        return f"http{self._tls}://{host}:{self._sites.web}{path}"

    @property
    def websocket_url(self) -> str:
        """URL of the WebSocket: on its own site, or /ws on the web site."""
        if self._sites.websocket is None:
            return f"{self.web_url.replace('http', 'ws', 1)}/ws"
        return f"ws{self._tls}://{_printed_host(self.settings.websocket_host)}:{self._sites.websocket}/"

    async def start(self) -> None:
        """Load the plugins and open the sites.

        Raises:
            SettingError: if the file of `jwks` cannot be used.
            PluginError: if one fails to load and `strict_plugins` is set.
            EngineError: if the engine cannot be used.
            ListenError: if an address cannot be opened.
        """
        # Before the plugins: one may start a thread that publishes.
        self._published_here = this_process.register()
        try:
            await self._start()
        except BaseException:
            await self._published_here.close()
            raise

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        clock = self._clock or LoopClock(loop)
        verifier = _load_verifier(self.settings)
        self.plugins = PluginManager(clock.time)
        self._load_plugins()
        self.plugins.collect_shared()
        settings, schedule = self.settings, Schedule(clock)
        engine = await factory.load(settings)
        names, lab = settings.publish_names, settings.lab
        self.hub = Hub(self.plugins, schedule, engine, names, lab, self._wrap_outbox, settings)
        self.hub.follow()
        folder, age = None, 0.0
        if self._handover is not None:
            folder, age = Path(self._handover.folder), time.monotonic() - self._handover.since
        started = Started(loop.time() - age, published_here=lambda: self._published_here.counts)
        self._other_workers = OtherWorkers(folder)
        tickets = Tickets(values_for(engine, folder))
        self._login = Login(self.hub, verifier, tickets, self.settings.require_login)
        heartbeats = Schedule(LoopClock(loop))
        app = create_app(
            self.settings,
            self.hub,
            heartbeats,
            self._sites,
            started,
            self._other_workers,
            CounterFiles(folder),
            self._login,
        )
        self._loop_lag = started.loop_lag
        self._runner = HttpRunner(
            app,
            clock,
            self.hub.refused,
            access_log=None,
            tcp_keepalive=False,  # it is on already: see INHERITED_OPTIONS
            # A body of 500 KB can unpack to 500 MB, and aiohttp would unpack it on any path.
            auto_decompress=False,
            shutdown_timeout=REQUEST_TIMEOUT_S,
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
        self._published_here.open(PublisherHere(self.hub).publish)
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
            log.error("%s; the server starts without this plugin", error)

    async def _open_sites(self, runner: web.AppRunner) -> None:
        opened = []
        given = self._activated if self._handover is None else self._handover.open_sockets()
        for prefix, host, port in sites(self.settings):
            sockets = given[prefix] if prefix in given else bind(prefix, host, port)
            opened.append(sockets[0].getsockname()[1])
            for sock in sockets:
                end_unacknowledged(sock, self.settings.heartbeat)
                for listener in self._descriptors.listeners(sock):
                    site = BoundedSite(runner, listener, self._ssl_context, self._descriptors)
                    await site.start()
                    self._listening.append(site)
        if self._other_workers.own_socket is not None:
            await web.UnixSite(runner, self._other_workers.own_socket).start()
        self._sites.web = opened[0]
        self._sites.websocket = opened[1] if len(opened) > 1 else None

    async def stop(self) -> None:
        """Refuse new connections, end the open ones over `drain_seconds`, and release all resources.

        The sites stay open meanwhile: `/readyz` and new connections are answered 503. A worker with a
        successor, and a server that was started with sockets, have closed their sites, and refuse
        nothing that they accepted before.
        """
        if self._runner is None:
            return
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        seconds = 0.0 if self._is_urgent else self.settings.drain_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as self._drain_timeout:
                await self.hub.drain(seconds, DRAIN_TIMEOUT_S, refuse=not self._is_retired)
        self._drain_timeout = None
        if not self._is_retired:  # else nothing is refused
            self._login.stop()
        await self._stop_listening()
        orphaned = self._handover is not None and self._handover.is_orphaned
        self._other_workers.close(orphaned)
        self._descriptors.close()
        await self._runner.cleanup()
        await self._other_workers.disconnect()
        if len(self.hub):
            # They were admitted before, and opened while the others ended.
            await self.hub.drain(0.0, AT_ONCE_TIMEOUT_S)
        if not orphaned and self._runner.app is not None:
            # Writes the last counters to their file: the parent adds them to those of former workers.
            aggregate.own(self._runner.app)
        self.hub.connection_log.flush()
        await self._published_here.close()
        await self.hub.engine.close()
        self._loop_lag.stop()
        self.hub.schedule.close()
        self._runner = None

    async def _wait_for_last_requests(self) -> None:
        """Wait until each connection that was accepted has sent a request, for a second at the most."""
        for _ in range(round(LAST_REQUESTS_S / LAST_REQUESTS_CHECK_S)):
            # First: what was accepted in this turn is a connection only in a later one.
            await asyncio.sleep(LAST_REQUESTS_CHECK_S)
            waiting = self._runner.unread_heads if self._runner is not None else 0
            if not waiting and not self._descriptors.handshakes:
                return

    async def _stop_listening(self) -> None:
        for site in self._listening:
            await site.stop()
        self._listening.clear()

    async def run(self) -> None:
        """Serve until SIGINT, SIGTERM, or SIGHUP, which a closed terminal sends.

        With `tls_cert`, SIGHUP reloads the certificate instead, as operators expect of a TLS server.

        A second SIGINT or SIGTERM ends all connections at once. A worker gets its signals from its
        parent; see `WORKER_SIGNALS`.
        """
        loop = asyncio.get_running_loop()
        handlers = self._own_signals() if self._handover is None else self._worker_signals()
        for number, handler in handlers.items():
            # Not aiohttp's own handling: under asyncio.run it exits with 1.
            loop.add_signal_handler(number, handler)
        await self.start()
        if self._handover is None or self._handover.announce:
            self._print_addresses()
        if self._handover is not None:
            self._handover.on_parent_exit(self._retire)
            self._handover.signal_ready()
        # What is loaded now stays: a collection of garbage need not look at it each time.
        gc.collect()
        gc.freeze()
        if 0 < gc.get_threshold()[0] < COLLECT_AFTER:
            gc.set_threshold(COLLECT_AFTER)
        await self._stopping.wait()
        if self._is_retired:
            await self._stop_listening()
            await self._wait_for_last_requests()
        _exit_after(self.settings.drain_seconds + EXIT_TIMEOUT_S)
        log.info("stopping: closing %d connections", len(self.hub))
        await self.stop()

    def _own_signals(self) -> dict[signal.Signals, Callable[[], object]]:
        """Return what each signal does in a process without a parent of ours."""
        handlers: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGINT: self._stop_or_hurry,
            signal.SIGTERM: self._stop_or_hurry,
        }
        if self.certificate is not None:
            handlers[signal.SIGHUP] = self.certificate.reload
        elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup has it ignored
            handlers[signal.SIGHUP] = self._stopping.set
        return handlers

    def _worker_signals(self) -> dict[signal.Signals, Callable[[], object]]:
        """Return what each signal does in a worker.

        A terminal, and a supervisor that signals the whole process group, reach the workers beside
        their parent. So no signal that these send counts twice.
        """
        return {
            signal.SIGTERM: self._stopping.set,
            WORKER_SIGNALS.retire: self._retire,
            WORKER_SIGNALS.end_at_once: self._end_at_once,
            # Not SIG_IGN: programs that a plugin starts would inherit it.
            signal.SIGINT: _ignore,
            signal.SIGHUP: _ignore,
        }

    def _stop_or_hurry(self) -> None:
        """Stop; at a second signal, end all connections at once."""
        if self._stopping.is_set():
            self._end_at_once()
        # The program that started this one keeps the sockets open: new clients wait for the next start.
        self._is_retired = bool(self._activated)
        self._stopping.set()

    def _retire(self) -> None:
        """Accept no more connections, and stop: a successor has the same sockets, or the parent died."""
        self._is_retired = True
        self._stopping.set()

    def _end_at_once(self) -> None:
        """Stop, and do not spread the ends of connections that are still open."""
        if self._is_urgent:
            return
        self._is_urgent = True
        self._stopping.set()
        _exit_after(EXIT_TIMEOUT_S)
        if self._drain_timeout is not None:
            self.hub.end_all()
            self._drain_timeout.reschedule(asyncio.get_running_loop().time() + AT_ONCE_TIMEOUT_S)

    def _print_addresses(self) -> None:
        print(f"rtdemo: page, SSE, API  {self.web_url}/")
        print(f"rtdemo: view            {self.web_url}/view")
        print(f"rtdemo: WebSocket       {self.websocket_url}")
        names = ", ".join(plugin.name for plugin in self.plugins.plugins)
        print(f"rtdemo: plugins         {names or 'none'}")
        if line := access.start_line(self.settings):
            print(line)
        if self.web_url != DEFAULT_URL and not self.settings.production:
            print(f"rtdemo: to publish      export {URL_VARIABLE}={self.web_url}")
        sys.stdout.flush()


def _load_verifier(settings: Settings) -> TokenVerifier | None:
    """Return what verifies login tokens; None where the settings have no key.

    Raises:
        SettingError: if the file of `jwks` cannot be used.
    """
    if not (settings.secret or settings.jwks):
        return None
    # The library for signatures takes 10 MiB. Only a server with login loads it.
    from rtdemo.web.tokens import load_verifier

    return load_verifier(settings)


def _ignore() -> None:
    """Ignore a signal."""


def _exit_after(seconds: float) -> None:
    """Exit after some seconds, even if a thread or task of a plugin still runs."""
    watchdog = threading.Timer(seconds, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _printed_host(host: str) -> str:
    if host in _EVERY_INTERFACE:
        return "localhost"
    return f"[{host}]" if ":" in host else host
