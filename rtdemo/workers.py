"""Serve by several processes: start workers, and replace those that die."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rtdemo import inherited
from rtdemo.backoff import Backoff
from rtdemo.errors import RtdemoError
from rtdemo.settings import Settings
from rtdemo.spawner import Process, Sockets, Spawner, free_addresses

log = logging.getLogger(__name__)

STEADY = 10.0
"""Seconds after which a worker that dies is replaced at once."""


class Workers:
    """Keep several processes at work on the same addresses.

    Each worker has sockets of its own (SO_REUSEPORT), among which the kernel spreads connections
    evenly. The parent keeps them open: what waits in the queue of one that died, or is being
    replaced, its successor accepts.

    Arguments:
        settings: `workers` says how many, 0 one a core.
        command: what a worker is started with.
    """

    def __init__(self, settings: Settings, command: Sequence[str]) -> None:
        self._settings = settings
        self._command = list(command)
        self._count = settings.workers or _cores()
        self._slots: list[Slot] = []
        self._stopping = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve until SIGINT or SIGTERM; SIGHUP replaces the workers one by one.

        Returns:
            The exit code: 0, or that of the first worker where it did not start, and said why.

        Raises:
            ListenError: when an address cannot be opened.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._replace_all)
        addresses = free_addresses(self._settings)
        alive = inherited.pipe()
        with TemporaryDirectory(prefix="rtdemo-", ignore_cleanup_errors=True) as folder:
            spawner = Spawner(self._command, addresses, Path(folder), alive.read)
            self._slots = [Slot(number, spawner) for number in range(self._count)]
            code = await self._serve()
        alive.close()
        return code

    async def _serve(self) -> int:
        keeping: list[asyncio.Task[None]] = []
        try:
            # The first alone: what keeps it from starting would be told once by each.
            code = await self._slots[0].start(announce=True)
            if code is not None:
                return code
            keeping = [asyncio.ensure_future(slot.keep()) for slot in self._slots]
            await self._stopping.wait()
            return 0
        finally:
            tasks = [*keeping, *([self._replacing] if self._replacing else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(slot.stop() for slot in self._slots))

    def _replace_all(self) -> None:
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.ensure_future(self._replace_one_by_one())

    async def _replace_one_by_one(self) -> None:
        log.info("replacing %d workers, one by one", len(self._slots))
        for slot in self._slots:
            if not await slot.replace():
                log.error("worker %d goes on: its successor did not start", slot.number)
                return
        log.info("replaced %d workers", len(self._slots))


class Slot:
    """Keep one worker on one set of sockets.

    Arguments:
        number: counts the slots from 0.
        spawner: starts its workers.
    """

    def __init__(self, number: int, spawner: Spawner) -> None:
        self.number = number
        self._spawner = spawner
        self._sockets: Sockets | None = None
        self._process: Process | None = None

    async def start(self, announce: bool = False) -> int | None:
        """Start a worker and make it this slot's once it serves; return its code where it ended."""
        if self._sockets is None:
            self._sockets = self._spawner.bind()
        process, code = await self._spawner.spawn(self._sockets, announce)
        if code is None:
            self._process = process
            log.info("worker %d is process %d", self.number, process.pid)
        return code

    async def keep(self) -> None:
        """Replace the worker whenever it dies, until cancelled."""
        backoff, loop = Backoff(), asyncio.get_running_loop()
        while True:
            began, process = loop.time(), self._process
            if process is None:
                code = await self._start_again()
            else:
                code = await process.wait()
            if self._process is not process:
                continue
            if process is not None:
                log.error("worker %d (process %d) %s", self.number, process.pid, _ended(code))
                self._spawner.forget(process)
                self._process = None
            if process is not None and loop.time() - began >= STEADY:
                backoff.reset()
                continue
            backoff.failed(loop.time())
            if backoff.in_a_row > 1:
                # Meanwhile the kernel is to spread connections over the others.
                self._close()
            await asyncio.sleep(max(0.0, backoff.resume_at - loop.time()))

    async def _start_again(self) -> int | None:
        try:
            return await self.start()
        except (RtdemoError, OSError) as error:
            log.error("worker %d cannot start: %s", self.number, error)  # noqa: TRY400 - one line
            return None

    async def replace(self) -> bool:
        """Start a successor and then let the worker go; return whether it started."""
        before = self._process
        if await self._start_again() is not None or self._process is before:
            return False
        await self._spawner.end(before)
        return True

    async def stop(self) -> None:
        """Let the worker go, and the sockets."""
        process, self._process = self._process, None
        await self._spawner.end(process)
        self._close()

    def _close(self) -> None:
        for sockets in (self._sockets or {}).values():
            for sock in sockets:
                sock.close()
        self._sockets = None


def _ended(code: int | None) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code and code < 0 else f"ended with {code}"


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover - macOS has no affinity
        return os.cpu_count() or 1
