"""Start a worker process on sockets of its own, check its health, and stop it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from rtdemo.errors import RtdemoError
from rtdemo.server.sockets import HANDOVER_VARIABLE, WorkerHandover, bind, pipe, sites
from rtdemo.settings.settings import Settings
from rtdemo.web.other_workers import CounterFiles, ask, socket_of

START_TIMEOUT_S = 30.0
"""Seconds from a worker's start until it must serve."""
STOP_TIMEOUT_S = 6.0
"""Seconds from the end of its drain to SIGKILL for a worker; it needs fewer to stop by itself."""
ABORT_TIMEOUT_S = 2.0
"""Seconds from SIGTERM to SIGKILL for a worker that does not serve yet: it has no clients."""
HEALTH_CHECK_INTERVAL_S = 2.0
"""Seconds for a worker to answer a health check, and from the start of one check to the next."""
MAX_FAILED_HEALTH_CHECKS = 5
"""Consecutive failed health checks before a worker counts as hung: after 10 s."""

Sockets = dict[str, list[socket.socket]]
Addresses = dict[str, tuple[str, int]]
Process = asyncio.subprocess.Process


class WorkerLauncher:
    """Start, check and stop worker processes.

    Arguments:
        command: program and arguments that start a worker.
        configured: host and port of each site in the settings, by their prefix.
        bound: the same with the port that was chosen where the setting is 0.
        folder: for the workers' socket files and counter files; created when needed.
        parent_pipe: file descriptor of the reading end of a pipe that only this process writes to;
            it reaches its end when this process exits.
        drain_seconds: time over which a worker ends its connections when it stops.
    """

    def __init__(
        self,
        command: list[str],
        configured: Addresses,
        bound: Addresses,
        folder: Path,
        parent_pipe: int,
        drain_seconds: float = 0.0,
    ) -> None:
        self._command = command
        self._configured = configured
        self._bound = bound
        self._folder = folder
        self._parent_pipe = parent_pipe
        self._stop_timeout_s = drain_seconds + STOP_TIMEOUT_S
        self._since = time.monotonic()

    def bind(self) -> Sockets:
        """Bind another set of sockets to the addresses; return them by their settings' prefix.

        Raises:
            ListenError: if one cannot be bound.
        """
        return {
            prefix: bind(prefix, host, port, reuse_port=True)
            for prefix, (host, port) in self._bound.items()
        }

    async def start(self, sockets: Sockets, announce: bool) -> tuple[Process, int | None]:
        """Start a worker and wait until it serves or exits.

        Arguments:
            sockets: listening sockets for the worker, by their settings' prefix.
            announce: whether the worker prints its addresses.

        Returns:
            The process, and its exit code; None while it serves.

        Raises:
            RtdemoError: if it does neither within 30 s; it is stopped then.
        """
        self._ensure_folder()
        ready = pipe()
        handover = WorkerHandover(
            sockets={prefix: [sock.fileno() for sock in site] for prefix, site in sockets.items()},
            addresses=self._configured,
            parent=self._parent_pipe,
            ready=ready.write,
            folder=str(self._folder),
            since=self._since,
            announce=announce,
        )
        environ = {**os.environ, HANDOVER_VARIABLE: msgspec.json.encode(handover).decode()}
        process: Process | None = None
        try:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command, pass_fds=handover.file_descriptors, env=environ
                )
            finally:
                os.close(ready.write)
            async with asyncio.timeout(START_TIMEOUT_S):
                is_ready = await _wait_for_byte(ready.read)
        except TimeoutError as error:
            await self.stop(process, ABORT_TIMEOUT_S)
            raise RtdemoError(
                f"a worker did not serve within {START_TIMEOUT_S:g} s and was stopped"
            ) from error
        except asyncio.CancelledError:
            await self.stop(process, ABORT_TIMEOUT_S)
            raise
        finally:
            os.close(ready.read)
        return process, None if is_ready else await process.wait()

    def _ensure_folder(self) -> None:
        """Create the workers' folder, also if something deleted it meanwhile.

        Raises:
            RtdemoError: if another user created a file or folder of the same name.
        """
        with suppress(FileExistsError):
            self._folder.mkdir(0o700)
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise RtdemoError(f"{self._folder} belongs to another user; restart to use another folder")

    @property
    def hang_timeout(self) -> float:
        """Seconds of failed health checks after which a worker counts as hung."""
        return HEALTH_CHECK_INTERVAL_S * MAX_FAILED_HEALTH_CHECKS

    async def wait_until_hung(self, process: Process) -> None:
        """Return once a worker that listens has failed all health checks for `hang_timeout` seconds."""
        worker, failures = socket_of(self._folder, process.pid), 0
        # Checks are counted, not timed: if this process itself was paused, it made only one.
        while failures < MAX_FAILED_HEALTH_CHECKS:
            started = time.monotonic()
            answer = await ask(worker, "GET", "/healthz", b"", HEALTH_CHECK_INTERVAL_S)
            failures = 0 if answer.status == 200 or not worker.exists() else failures + 1
            await asyncio.sleep(max(0.0, started + HEALTH_CHECK_INTERVAL_S - time.monotonic()))

    def clean_up(self, process: Process) -> None:
        """Delete the socket file of a worker that exited, and add its counters to the total."""
        socket_of(self._folder, process.pid).unlink(missing_ok=True)
        CounterFiles(self._folder).add_exited(process.pid)

    async def stop(
        self,
        process: Process | None,
        timeout_s: float | None = None,
        by: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Stop a worker by a signal, and by SIGKILL if it does not exit in time.

        Arguments:
            process: None does nothing.
            timeout_s: seconds between the two signals; by default enough for a worker that drains.
            by: SIGTERM, or one of `WORKER_SIGNALS`.
        """
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(by)
            try:
                async with asyncio.timeout(self._stop_timeout_s if timeout_s is None else timeout_s):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self.clean_up(process)


async def _wait_for_byte(number: int) -> bool:
    """Wait until a pipe has a byte to read, or reaches its end; return whether it had one."""
    loop, is_readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(number, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(number)
    return bool(os.read(number, 1))


def find_free_addresses(settings: Settings) -> Addresses:
    """Return each site's host and port, by its settings' prefix, after checking that they are free.

    Without this check, sockets with SO_REUSEPORT would share a port with another program.

    Raises:
        ListenError: if an address is in use.
    """
    found = {}
    for prefix, host, port in sites(settings):
        sockets = bind(prefix, host, port)
        found[prefix] = (host, sockets[0].getsockname()[1])
        for sock in sockets:
            sock.close()
    return found


def own_command() -> list[str]:
    """Return the command line of this process, to start it again."""
    return [sys.executable, "-m", "rtdemo", *sys.argv[1:]]
