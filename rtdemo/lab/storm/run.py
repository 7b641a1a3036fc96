"""Run a storm: connect many clients, end the server, and record how the clients come back."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from itertools import chain, count, zip_longest
from typing import Any

import aiohttp
import msgspec

from rtdemo.client.failures import to_server_error
from rtdemo.client.request_headers import middlewares
from rtdemo.errors import ServerError
from rtdemo.lab.bench.connection import resolve
from rtdemo.lab.bench.target import MAX_OPENING, fetch_server_info, split_connections
from rtdemo.lab.storm import backoff
from rtdemo.lab.storm.client import Client, Side
from rtdemo.lab.storm.connection import Failure
from rtdemo.lab.storm.delivery import Messages
from rtdemo.lab.storm.figures import Measured, add_figures
from rtdemo.lab.storm.findings import findings
from rtdemo.lab.storm.publisher import Publisher
from rtdemo.lab.storm.result import Storm
from rtdemo.lab.storm.server_process import CommandProcess, ServerProcess
from rtdemo.lab.storm.timeline import STEP_S
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import Position

USER_AGENT = "rtdemo-storm"
SETTLE_S = 1.0
"""Time before the signal, and after all clients are back, in which their messages arrive."""
CATCH_UP_S = 5.0
"""Longest time at the end for the last messages to arrive at all clients."""
SURVIVAL_S = 3.0
"""Time after the server's end in which its clients notice; one that stays longer has another server."""
REMINDER_S = 3.0
"""Time after the signal at which the user is reminded to start the server again."""
STOP_S, INTERRUPTED_STOP_S = 10.0, 0.5
"""Time for a command to end after SIGTERM when storm is done, or was interrupted."""
POLL_S = 0.02
"""Time between two looks at the server's process."""


class StormRun:
    """One storm.

    Arguments:
        storm: to add the results to.
        address: of the server.
        server: what dies.
        say: takes a sentence that the user must see.
        settle_s: seconds before the signal, and at least after all clients are back.

    Attributes:
        state: what happens now, in words.
    """

    def __init__(
        self,
        storm: Storm,
        address: Address,
        server: ServerProcess,
        say: Callable[[str], object],
        settle_s: float = SETTLE_S,
    ) -> None:
        self.state = ""
        self._settle_s = settle_s
        self._storm = storm
        self._settings = storm.settings
        self._address = address
        self._server = server
        self._say = say
        self._sides: dict[Transport, Side] = {}
        self._clients: list[Client] = []
        self._publisher: Publisher | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reminded = False
        self._signal_at: float | None = None
        self._ended_at: float | None = None
        self._finished_at: float | None = None
        self._known: Messages | None = None

    async def run(self) -> None:
        """Run it; Ctrl-C and SIGTERM end it, and keep what was measured until then.

        Raises:
            ServerError: if the server cannot be reached, refuses the clients, or does not start again.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("run() must run in a task")
        # asyncio does the same for SIGINT. Without it a command would keep running.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await self._run()
        except asyncio.CancelledError:
            self._storm.cut_short = True
            task.uncancel()
        finally:
            await self._end()
            loop.remove_signal_handler(signal.SIGTERM)

    async def _run(self) -> None:
        if isinstance(self._server, CommandProcess):
            self.state = "starting the server"
            await self._server.start(self._say)
        self._storm.process = self._server.description
        self._say(
            f"{self._settings.clients:,} clients connect to {self._storm.target}, then"
            f" {self._settings.signal} goes to {self._server.description}"
        )
        async with aiohttp.ClientSession(middlewares=middlewares(self._address)) as http:
            await self._find_server(http)
            await self._connect()
            if self._settings.publish_per_second:
                self._publisher = Publisher(http, self._address)
                await self._publisher.publish_first()
                self._spawn(self._publisher.run(1 / self._settings.publish_per_second))
            await self._kill()
            await self._watch()
            await self._catch_up()

    async def _find_server(self, http: aiohttp.ClientSession) -> None:
        """Note what serves. Another server need not know rtdemo's addresses."""
        version = (
            (await fetch_server_info(http, self._address)).version if self._address.is_whole else ""
        )
        server = f"rtdemo {version}" if version else "not rtdemo"
        self._storm.environment = msgspec.structs.replace(self._storm.environment, server=server)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        return task

    async def _connect(self) -> None:
        """Connect all clients.

        Raises:
            ServerError: if one cannot connect.
        """
        settings = self._settings
        shares = split_connections(settings.clients, len(settings.transports))
        for transport, share in zip(settings.transports, shares, strict=True):
            url = self._address.stream(transport)
            try:
                endpoint = await resolve(url, transport, self._address.headers, USER_AGENT)
            except OSError as error:
                raise to_server_error(url, error) from error
            side = Side(url, endpoint, backoff.parse(settings.backoffs[transport]), time.monotonic)
            side.clients = [Client(side) for _ in range(share)]
            self._sides[transport] = side
        in_turns = chain.from_iterable(zip_longest(*(side.clients for side in self._sides.values())))
        self._clients = [client for client in in_turns if client is not None]
        limiter, connected = asyncio.Semaphore(MAX_OPENING), count(1)
        opening = [
            asyncio.ensure_future(self._open(client, limiter, connected)) for client in self._clients
        ]
        try:
            await asyncio.gather(*opening)
        finally:
            for task in opening:
                task.cancel()

    async def _open(self, client: Client, limiter: asyncio.Semaphore, connected: Iterator[int]) -> None:
        async with limiter:
            found = await client.open()
        number = next(connected)
        if isinstance(found, Failure):
            problem, fix = f"opens no stream: {found.reason}", "is it the right address?"
            if 300 <= found.status < 400:
                fix = "give that address"
            if number > 1:
                problem = f"accepted {number - 1:,} clients, then refused one: {found.reason}"
                fix = "use fewer clients (-n) or raise its limits"
            raise ServerError(client.url, problem, fix)
        self._spawn(client.stay(found))
        self.state = f"{number:,} of {len(self._clients):,} clients are connected"

    async def _kill(self) -> None:
        """Show the clients for a moment, then send the signal."""
        for side in self._sides.values():
            side.timeline.begin(sum(client.is_open for client in side.clients))
        await asyncio.sleep(self._settle_s)
        name = self._settings.signal
        if self._server.has_ended():
            raise ServerError(self._address.origin, "ended before storm sent a signal", "see its log")
        for client in self._clients:
            client.watch()
        self._storm.signal_at_seconds = self._settle_s
        self._signal_at = time.monotonic()
        self._server.send(signal.Signals[name])
        self._restarting = self._spawn(self._restart())

    async def _restart(self) -> None:
        while not self._server.has_ended():  # noqa: ASYNC110 - a foreign process has no event
            await asyncio.sleep(POLL_S)
        self._ended_at = time.monotonic()
        await asyncio.sleep(self._settings.restart_after_seconds)
        await self._server.restart()
        while True:
            await asyncio.sleep(POLL_S)
            self._server.check()

    async def _watch(self) -> None:
        """Wait until all clients are back for a moment, or until the time is over."""
        began = self._signal_at or 0.0
        settled_at = math.inf
        while (now := time.monotonic()) < began + self._settings.seconds:
            if self._restarting.done():
                self._restarting.result()
            # A server that stops may accept clients once more, and cut them as it ends.
            has_ended = self._ended_at is not None or self._settings.signal == "SIGHUP"
            if not (has_ended and all(self._is_settled(client, now) for client in self._clients)):
                settled_at = math.inf
            elif now > (settled_at := min(settled_at, now)) + self._settle_s:
                return
            self._report(now - began)
            await asyncio.sleep(STEP_S)
            lag = time.monotonic() - now - STEP_S
            self._storm.lag_seconds = max(self._storm.lag_seconds, round(lag, 3))

    def _is_settled(self, client: Client, now: float) -> bool:
        """Return whether nothing more is to be expected of a client."""
        if client.gave_up is not None or client.back_at is not None:
            return True
        return client.is_open and self._ended_at is not None and now > self._ended_at + SURVIVAL_S

    def _report(self, passed: float) -> None:
        connected = sum(client.is_open for client in self._clients)
        self.state = f"{passed:.1f} s after {self._settings.signal}: {connected:,} clients connected"
        is_away = self._ended_at is not None and not connected
        if is_away and not (self._server.restarts_itself or self._reminded) and passed > REMINDER_S:
            self._reminded = True
            self._say("the server has ended and no client is back; start it again if nothing else does")

    async def _catch_up(self) -> None:
        """Wait until the connected clients have received the last message."""
        if self._publisher is not None:
            self._publisher.stop()
        self._known = Messages((client.delivery for client in self._clients), self._published)
        self._finished_at = time.monotonic()
        until = self._finished_at + CATCH_UP_S
        while any(map(self._is_behind, self._clients)):
            # Not an event: looking is cheaper than one for each message.
            if time.monotonic() >= until:
                break
            await asyncio.sleep(STEP_S)

    @property
    def _published(self) -> list[Position]:
        return self._publisher.accepted if self._publisher is not None else []

    def _is_behind(self, client: Client) -> bool:
        position = client.delivery.position
        if self._known is None or position is None or not client.is_open:
            return False
        return position.offset < self._known.end(position.epoch)

    async def _end(self) -> None:
        """End the clients and what storm has started; add the figures."""
        try:
            self._add_figures()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            # A second Ctrl-C must not leave a command running: it has a session of its own.
            patience_s = INTERRUPTED_STOP_S if self._storm.cut_short else STOP_S
            await self._server.close(patience_s)

    def _add_figures(self) -> None:
        if self._signal_at is not None:
            ended_at = self._finished_at or time.monotonic()
            found = Measured(
                self._sides, self._signal_at, ended_at, self._known, self._ended_at is not None
            )
            self._storm.published = len(self._published)
            add_figures(self._storm, found)
            self._storm.findings = findings(self._storm)
