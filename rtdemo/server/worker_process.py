"""Start worker processes on sockets of their own, and end them."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from rtdemo.errors import RtdemoError
from rtdemo.server.sockets import VARIABLE, Inheritance, bind, pipe, sites
from rtdemo.settings.settings import Settings
from rtdemo.web.other_workers import CounterFiles, ask, socket_of

STARTING = 30.0
"""Seconds for a worker to serve after it was started."""
STOPPING = 10.0
"""Seconds for a worker to end after SIGTERM; it ends itself in less."""
ABORTING = 2.0
"""Seconds to end for one that does not serve yet: nobody is connected to it."""
ASKING = 2.0
"""Seconds for a worker to say that it is alive, and between two times that it is asked."""
SILENT = 5
"""Times in a row that a worker is asked in vain before it counts as standing still: after 10 s."""

Sockets = dict[str, list[socket.socket]]
Addresses = dict[str, tuple[str, int]]
Process = asyncio.subprocess.Process


class Spawner:
    """Start and end worker processes.

    Arguments:
        command: what a worker is started with.
        given: host and port by the prefix of their settings, as these have them.
        addresses: the same with the port that was found where any would do.
        folder: where the workers listen for each other.
        alive: the reading end of a pipe that ends with this process.
    """

    def __init__(
        self,
        command: list[str],
        given: Addresses,
        addresses: Addresses,
        folder: Path,
        alive: int,
    ) -> None:
        self._command = command
        self._given = given
        self._addresses = addresses
        self._folder = folder
        self._alive = alive
        self._since = time.monotonic()

    def bind(self) -> Sockets:
        """Bind further sockets to the addresses.

        Raises:
            ListenError: when one cannot be opened.
        """
        return {
            prefix: bind(prefix, host, port, shared=True)
            for prefix, (host, port) in self._addresses.items()
        }

    async def spawn(self, sockets: Sockets, announce: bool) -> tuple[Process, int | None]:
        """Start a worker and wait until it serves; return its exit code where it ended instead.

        Raises:
            RtdemoError: when it does neither within 30 s; it is ended then.
        """
        self._ensure_folder()
        ready = pipe()
        numbers = {prefix: [s.fileno() for s in given] for prefix, given in sockets.items()}
        folder = str(self._folder)
        heir = Inheritance(numbers, self._given, self._alive, ready.write, folder, self._since, announce)
        environ = {**os.environ, VARIABLE: msgspec.json.encode(heir).decode()}
        process: Process | None = None
        try:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command, pass_fds=heir.files, env=environ
                )
            finally:
                os.close(ready.write)
            async with asyncio.timeout(STARTING):
                served = await _readable(ready.read)
        except TimeoutError as error:
            await self.end(process, ABORTING)
            raise RtdemoError(f"a worker did not serve within {STARTING:g} s and was ended") from error
        except asyncio.CancelledError:
            await self.end(process, ABORTING)
            raise
        finally:
            os.close(ready.read)
        return process, None if served else await process.wait()

    def _ensure_folder(self) -> None:
        """Make the workers' folder again where somebody tidied it away.

        Raises:
            RtdemoError: when somebody else has made one of its name.
        """
        with suppress(FileExistsError):
            self._folder.mkdir(0o700)
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise RtdemoError(f"{self._folder} is somebody else's; restart to have another one")

    async def stands_still(self, process: Process) -> None:
        """Return once a worker has not answered for 10 s, though it listens; else go on for ever."""
        worker, in_vain = socket_of(self._folder, process.pid), 0
        # Counted, not timed: where this process stood still itself, it has asked but once.
        while in_vain < SILENT:
            started = time.monotonic()
            answer = await ask(worker, "GET", "/healthz", b"", ASKING)
            in_vain = 0 if answer.status == 200 or not worker.exists() else in_vain + 1
            await asyncio.sleep(max(0.0, started + ASKING - time.monotonic()))

    def forget(self, process: Process) -> None:
        """Remove what a worker that is gone left behind, but for what it counted."""
        socket_of(self._folder, process.pid).unlink(missing_ok=True)
        CounterFiles(self._folder).add_exited(process.pid)

    async def end(self, process: Process | None, patience: float = STOPPING) -> None:
        """Ask a worker to end and see that it does, after so many seconds by force."""
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(patience):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self.forget(process)


async def _readable(number: int) -> bool:
    """Wait until a pipe has something to read, or ends; return whether it had."""
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(number, news.set)
    try:
        await news.wait()
    finally:
        loop.remove_reader(number)
    return bool(os.read(number, 1))


def free_addresses(settings: Settings) -> Addresses:
    """Return the sites' hosts and ports, by the prefix of their settings, once seen to be free.

    Sockets that share a port by intent would share it with a stranger's too.

    Raises:
        ListenError: when one is in use.
    """
    found = {}
    for prefix, host, port in sites(settings):
        alone = bind(prefix, host, port)
        found[prefix] = (host, alone[0].getsockname()[1])
        for sock in alone:
            sock.close()
    return found


def command() -> list[str]:
    """Return what starts this very command again."""
    return [sys.executable, "-m", "rtdemo", *sys.argv[1:]]
