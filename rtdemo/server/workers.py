"""Serve by several processes: start workers, and replace those that die."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rtdemo.errors import RtdemoError
from rtdemo.server import worker_process
from rtdemo.server.sockets import pipe, sites
from rtdemo.server.worker_process import Process, Sockets, Spawner, free_addresses
from rtdemo.settings.settings import Settings
from rtdemo.timing.backoff import Backoff

log = logging.getLogger(__name__)


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
        alive = pipe()
        with TemporaryDirectory(prefix="rtdemo-", ignore_cleanup_errors=True) as folder:
            given = {prefix: (host, port) for prefix, host, port in sites(self._settings)}
            spawner = Spawner(self._command, given, addresses, Path(folder), alive.read)
            self._slots = [Slot(number, spawner) for number in range(self._count)]
            code = await self._serve()
        alive.close()
        return code

    async def _serve(self) -> int:
        serving = asyncio.ensure_future(self._keep())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return serving.result() if serving.done() else 0
        finally:
            tasks = [serving, stopping, *([self._replacing] if self._replacing else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(slot.stop() for slot in self._slots))

    async def _keep(self) -> int:
        # The first alone: what keeps it from starting would be told once by each.
        code = await self._slots[0].start(announce=True)
        if code is None:
            await asyncio.gather(*(slot.keep() for slot in self._slots))
        # A signal's number, negative, is no exit code.
        return 1 if code and code < 0 else code or 0

    def _replace_all(self) -> None:
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.ensure_future(self._replace_one_by_one())
        else:
            log.warning("the workers are being replaced already; send SIGHUP again once they are")

    async def _replace_one_by_one(self) -> None:
        log.info("replacing %d workers, one by one", len(self._slots))
        for slot in self._slots:
            if not await slot.replace():
                log.error("worker %d goes on: its successor did not start", slot.number)
                return
        log.info("replaced %d workers", len(self._slots))


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover - macOS has no affinity
        return os.cpu_count() or 1


STEADY = 10.0
"""Seconds after which a worker that dies is replaced at once."""


class Slot:
    """Keep one worker on one set of sockets; whoever starts or ends one holds the lock.

    Arguments:
        number: counts the slots from 0.
        spawner: starts its workers.
    """

    def __init__(self, number: int, spawner: Spawner) -> None:
        self.number = number
        self._spawner = spawner
        self._sockets: Sockets | None = None
        self._process: Process | None = None
        self._leaving: Process | None = None
        self._lock = asyncio.Lock()

    async def start(self, announce: bool = False) -> int | None:
        """Start the first worker; return its code where it ended instead of serving.

        Raises:
            RtdemoError: when it does not serve in time.
            ListenError: when an address cannot be opened.
        """
        async with self._lock:
            return await self._start(announce)

    async def keep(self) -> None:
        """Start a worker wherever there is none, until cancelled."""
        backoff, loop = Backoff(), asyncio.get_running_loop()
        while True:
            try:
                is_well = await self._fill_and_wait()
            except Exception:
                # A bug here is no reason to end the workers of all slots.
                log.exception("keeping worker %d failed; trying again", self.number)
                is_well = False
            if is_well:
                backoff.reset()
                continue
            backoff.failed(loop.time())
            if backoff.consecutive_failures > 1:
                await self._yield_sockets()
            await asyncio.sleep(max(0.0, backoff.retry_at - loop.time()))

    async def _fill_and_wait(self) -> bool:
        """Have a worker until it is gone; return whether it was replaced, or had served for long."""
        loop = asyncio.get_running_loop()
        if not await self._fill():
            return False
        began = loop.time()
        return not await self._died() or loop.time() - began >= STEADY

    async def replace(self) -> bool:
        """Start a successor and then let the worker go; return whether it started."""
        async with self._lock:
            before = self._process
            if not await self._try_start():
                return False
            self._leaving = before
            await self._spawner.end(before)
            self._leaving = None
            return True

    async def _start(self, announce: bool = False) -> int | None:
        if self._sockets is None:
            self._sockets = self._spawner.bind()
        process, code = await self._spawner.spawn(self._sockets, announce)
        if code is None:
            self._process = process
            log.info("worker %d is process %d", self.number, process.pid)
        elif code <= 0:
            # With another code it said why itself.
            log.error(
                "worker %d (process %d) %s while it started", self.number, process.pid, _ended(code)
            )
        return code

    async def _try_start(self) -> bool:
        try:
            return await self._start() is None
        except (RtdemoError, OSError) as error:
            log.error("worker %d cannot start: %s", self.number, error)  # noqa: TRY400 - one line
            return False

    async def _fill(self) -> bool:
        """Start a worker where there is none; return whether there is one then."""
        async with self._lock:
            return self._process is not None or await self._try_start()

    async def _died(self) -> bool:
        """Wait until the worker is gone; return whether it died, and was not replaced."""
        process = self._process
        how = await self._end_of(process) if process is not None else ""
        async with self._lock:
            if process is None or self._process is not process:
                return False
            log.error("worker %d (process %d) %s", self.number, process.pid, how)
            self._spawner.forget(process)
            self._process = None
            return True

    async def _end_of(self, process: Process) -> str:
        """Wait until a worker ends, or kill it where it stands still; return how it ended."""
        ending = asyncio.ensure_future(process.wait())
        watching = asyncio.ensure_future(self._spawner.stands_still(process))
        try:
            await asyncio.wait({ending, watching}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return _ended(ending.result())
            watching.result()
            # What stands still does not hear SIGTERM.
            process.kill()
            await ending
            silence = worker_process.ASKING * worker_process.SILENT
            return f"did not answer for {silence:g} s and was killed"
        finally:
            for task in (ending, watching):
                task.cancel()
            await asyncio.gather(ending, watching, return_exceptions=True)

    async def _yield_sockets(self) -> None:
        """Have the kernel spread connections over the other workers."""
        async with self._lock:
            if self._process is None:
                self._close()

    async def stop(self) -> None:
        """Let the worker go, and the sockets."""
        # Both, where a worker is being replaced.
        processes, self._process = {self._process, self._leaving}, None
        await asyncio.gather(*(self._spawner.end(process) for process in processes))
        self._close()

    def _close(self) -> None:
        for sockets in (self._sockets or {}).values():
            for sock in sockets:
                sock.close()
        self._sockets = None


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        # Real-time signals have a number alone.
        return f"was ended by signal {-code}"
