"""Serve with several worker processes: start them, replace those that die or hang."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rtdemo.errors import RtdemoError
from rtdemo.server.sockets import WORKER_SIGNALS, pipe, sites
from rtdemo.server.worker_process import Process, Sockets, WorkerLauncher, find_free_addresses
from rtdemo.settings.settings import Settings
from rtdemo.timing.backoff import Backoff

log = logging.getLogger(__name__)

MAX_RESTART_DELAY_S = 15.0
"""Longest delay before a worker that died is started again. It serves a few seconds later."""
STEADY_S = 10.0
"""If a worker ran at least this many seconds, its successor starts at once, without back-off."""


class Workers:
    """Run several worker processes that serve the same addresses.

    Each worker has its own sockets (SO_REUSEPORT), and the kernel spreads connections evenly over
    them. The parent keeps the sockets open. If a worker dies or is replaced, its successor
    accepts the connections that wait in the queue.

    Arguments:
        settings: `workers` is the number of processes; 0 starts one for each core.
        command: program and arguments that start a worker.
    """

    def __init__(self, settings: Settings, command: Sequence[str]) -> None:
        self._settings = settings
        self._command = list(command)
        self._count = settings.workers or _cores()
        self._slots: list[WorkerSlot] = []
        self._stopping = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve until SIGINT or SIGTERM; on SIGHUP, replace the workers one by one.

        A second SIGINT or SIGTERM ends all connections at once.

        Returns:
            The exit code: 0, or that of the first worker if it could not start.

        Raises:
            ListenError: if an address cannot be opened.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop_or_hurry)
        loop.add_signal_handler(signal.SIGHUP, self._replace_all)
        bound = find_free_addresses(self._settings)
        parent_pipe = pipe()
        with TemporaryDirectory(prefix="rtdemo-", ignore_cleanup_errors=True) as folder:
            configured = {prefix: (host, port) for prefix, host, port in sites(self._settings)}
            launcher = WorkerLauncher(
                self._command,
                configured,
                bound,
                Path(folder),
                parent_pipe.read,
                self._settings.drain_seconds,
            )
            self._slots = [WorkerSlot(number, launcher) for number in range(self._count)]
            code = await self._serve()
        parent_pipe.close()
        return code

    def _stop_or_hurry(self) -> None:
        """Stop; at a second signal, let the workers end all connections at once."""
        if self._stopping.is_set():
            for slot in self._slots:
                slot.end_at_once()
        self._stopping.set()

    async def _serve(self) -> int:
        serving = asyncio.ensure_future(self._supervise())
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

    async def _supervise(self) -> int:
        # The first worker starts alone, so that a start error is logged once, not by every worker.
        code = await self._slots[0].start(announce=True)
        if code is None:
            await asyncio.gather(*(slot.supervise() for slot in self._slots))
        # A negative code is the number of a signal, not an exit code.
        return 1 if code and code < 0 else code or 0

    def _replace_all(self) -> None:
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.ensure_future(self._replace_one_by_one())
        else:
            log.warning("the workers are already being replaced; send SIGHUP again after the last one")

    async def _replace_one_by_one(self) -> None:
        log.info("replacing %d workers, one by one", len(self._slots))
        for slot in self._slots:
            if not await slot.replace():
                log.error("worker %d keeps running: its successor did not start", slot.number)
                return
        log.info("replaced %d workers", len(self._slots))


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover - macOS has no affinity
        return os.cpu_count() or 1


class WorkerSlot:
    """Keep one worker running on one set of sockets.

    A lock makes sure that only one task at a time starts or stops its worker.

    Arguments:
        number: number of this slot, from 0, for the log.
        launcher: starts its workers.
    """

    def __init__(self, number: int, launcher: WorkerLauncher) -> None:
        self.number = number
        self._launcher = launcher
        self._sockets: Sockets | None = None
        self._process: Process | None = None
        self._replaced: Process | None = None
        self._stopped: list[Process] = []
        self._is_urgent = False
        self._lock = asyncio.Lock()

    async def start(self, announce: bool = False) -> int | None:
        """Start the first worker; return None if it serves, or its exit code if it exited.

        Arguments:
            announce: whether the worker prints its addresses.

        Raises:
            RtdemoError: if it does not serve in time.
            ListenError: if an address cannot be opened.
        """
        async with self._lock:
            return await self._start(announce)

    async def supervise(self) -> None:
        """Start a worker whenever there is none, with back-off, until cancelled."""
        backoff, loop = Backoff(max_retry_s=MAX_RESTART_DELAY_S), asyncio.get_running_loop()
        while True:
            try:
                ran_steadily = await self._run_one()
            except Exception:
                # An unexpected error must not stop the workers of the other slots.
                log.exception("supervising worker %d failed; retrying", self.number)
                ran_steadily = False
            if ran_steadily:
                backoff.reset()
                continue
            backoff.failed(loop.time())
            if backoff.consecutive_failures > 1:
                await self._release_sockets()
            await asyncio.sleep(max(0.0, backoff.retry_at - loop.time()))

    async def _run_one(self) -> bool:
        """Wait until the worker exits.

        Returns:
            True if it was replaced or ran at least STEADY_S seconds.
        """
        loop = asyncio.get_running_loop()
        if not await self._ensure_worker():
            return False
        began = loop.time()
        return not await self._wait_for_death() or loop.time() - began >= STEADY_S

    async def replace(self) -> bool:
        """Start a successor, then stop the current worker; return whether the successor started."""
        async with self._lock:
            before = self._process
            if not await self._try_start():
                return False
            self._replaced = before
        # Without the lock: while the old worker drains, a successor that dies is replaced.
        await self._launcher.stop(before, by=WORKER_SIGNALS.retire)
        self._replaced = None
        return True

    async def _start(self, announce: bool = False) -> int | None:
        if self._sockets is None:
            self._sockets = self._launcher.bind()
        process, code = await self._launcher.start(self._sockets, announce)
        if code is None:
            self._process = process
            log.info("worker %d is process %d", self.number, process.pid)
        elif code <= 0:
            # With a positive code, the worker has logged the reason itself.
            log.error(
                "worker %d (process %d) %s while it started", self.number, process.pid, _how_ended(code)
            )
        return code

    async def _try_start(self) -> bool:
        try:
            return await self._start() is None
        except (RtdemoError, OSError) as error:
            log.error("worker %d cannot start: %s", self.number, error)  # noqa: TRY400 - one line
            return False

    async def _ensure_worker(self) -> bool:
        """Start a worker if there is none; return whether there is one now."""
        async with self._lock:
            return self._process is not None or await self._try_start()

    async def _wait_for_death(self) -> bool:
        """Wait until the worker exits; return False if it was replaced, True if it died."""
        process = self._process
        how = await self._wait_for_exit(process) if process is not None else ""
        async with self._lock:
            if process is None or self._process is not process:
                return False
            log.error("worker %d (process %d) %s", self.number, process.pid, how)
            self._launcher.clean_up(process)
            self._process = None
            return True

    async def _wait_for_exit(self, process: Process) -> str:
        """Wait until a worker exits, and kill it if it hangs; return how it ended."""
        ending = asyncio.ensure_future(process.wait())
        checking = asyncio.ensure_future(self._launcher.wait_until_hung(process))
        try:
            await asyncio.wait({ending, checking}, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return _how_ended(ending.result())
            checking.result()
            # A worker that hangs does not react to SIGTERM.
            process.kill()
            await ending
            return f"did not answer for {self._launcher.hang_timeout:g} s and was killed"
        finally:
            for task in (ending, checking):
                task.cancel()
            await asyncio.gather(ending, checking, return_exceptions=True)

    async def _release_sockets(self) -> None:
        """Close the sockets of an empty slot, so that the kernel gives it no new connections."""
        async with self._lock:
            if self._process is None:
                self._close_sockets()

    async def stop(self) -> None:
        """Stop the worker, and the one that it replaces, and close the sockets."""
        self._stopped = [each for each in (self._process, self._replaced) if each is not None]
        self._process = None
        if self._is_urgent:
            self.end_at_once()
        await asyncio.gather(*(self._launcher.stop(process) for process in self._stopped))
        self._close_sockets()

    def end_at_once(self) -> None:
        """Let workers that are being stopped, or will be, end their connections at once."""
        self._is_urgent = True
        for process in self._stopped:
            if process.returncode is None:
                process.send_signal(WORKER_SIGNALS.end_at_once)

    def _close_sockets(self) -> None:
        for sockets in (self._sockets or {}).values():
            for sock in sockets:
                sock.close()
        self._sockets = None


def _how_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        # Real-time signals have a number only.
        return f"was ended by signal {-code}"
