"""Start the processes of a bench run: its workers, and its own server.

The process of the run itself only waits, so it does not disturb what the workers measure.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

import rtdemo
from rtdemo.errors import ServerError
from rtdemo.lab.bench.protocol import MAX_LINE_BYTES, Plan
from rtdemo.protocol import address as addresses
from rtdemo.protocol.address import Address
from rtdemo.settings.settings import SETTINGS

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""Longest line that a worker may send."""
WORKER_EXIT_TIMEOUT_S = 5.0
SERVER_START_TIMEOUT_S = 20.0
_WORKER_COMMAND = ("-m", "rtdemo.lab.bench.worker")
_SERVER_COMMAND = (
    *("-m", "rtdemo", "serve", "--host", "127.0.0.1", "--port", "0", "--single-site"),
    *("--log-level", "warning", "--workers", "1", "--probes", "--engine", "memory"),
)
_PROJECT_ROOT = Path(rtdemo.__file__).parent.parent
T = TypeVar("T")


@asynccontextmanager
async def start_workers(plans: Iterable[Plan]) -> AsyncIterator[Workers]:
    """Start a worker for each plan, and send it the plan; all workers have exited after the block."""
    plans = list(plans)
    started: list[asyncio.subprocess.Process] = []
    try:
        for _ in plans:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *_WORKER_COMMAND),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=MAX_REPLY_BYTES,
                # Ctrl-C must reach only the run, which then ends the window.
                start_new_session=True,
            )
            started.append(process)
        workers = Workers(plans[0].url, started)
        workers.send_each(plans)
        yield workers
    finally:
        for process in started:
            await _end_worker(process)


class Workers:
    """Send messages to all workers, and receive the answer of each.

    Arguments:
        url: that they measure, for errors.
        started: their processes.
    """

    def __init__(self, url: str, started: list[asyncio.subprocess.Process]) -> None:
        self._url = url
        self._started = started

    def send_each(self, contents: Iterable[msgspec.Struct]) -> None:
        """Send each worker its own message.

        Raises:
            ValueError: if a message is longer than a worker reads.
        """
        for process, content in zip(self._started, contents, strict=True):
            line = msgspec.json.encode(content)
            if process.stdin is None or len(line) >= MAX_LINE_BYTES:
                raise ValueError("a line that a worker cannot read")
            process.stdin.write(line + b"\n")

    def send_all(self, content: msgspec.Struct) -> None:
        """Send the same message to all workers."""
        self.send_each([content] * len(self._started))

    async def receive(self, kind: type[T], timeout_s: float) -> list[T]:
        """Return the answer of each worker.

        Arguments:
            kind: struct that they answer.
            timeout_s: seconds for all answers together.

        Raises:
            ServerError: if a worker does not answer in time, or has died.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return [await self._read(process, kind) for process in self._started]
        except (TimeoutError, msgspec.DecodeError) as error:
            problem = f"could not be measured: a worker did not respond within {timeout_s:.0f} s"
            if isinstance(error, msgspec.DecodeError):
                problem = "could not be measured: a worker died"
            raise ServerError(self._url, problem, "use fewer connections (-n)") from error

    @staticmethod
    async def _read(process: asyncio.subprocess.Process, kind: type[T]) -> T:
        if process.stdout is None:
            raise ValueError("a process without an output")
        return msgspec.json.decode(await process.stdout.readline(), type=kind)


async def _end_worker(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WORKER_EXIT_TIMEOUT_S):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


@asynccontextmanager
async def own_server() -> AsyncIterator[Address]:
    """Run a server of this installation on a free port of loopback, within the block.

    It runs in an empty folder with default settings, so that it is the same wherever bench runs.

    Raises:
        ServerError: if it does not start.
    """
    with TemporaryDirectory(prefix="rtdemo-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *_SERVER_COMMAND),
            cwd=folder,
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield addresses.parse(await _read_url(process))
        finally:
            await _stop_server(process)


def _environment() -> dict[str, str]:
    """Return this process's environment without settings of rtdemo."""
    settings = {setting.variable for setting in SETTINGS.values()}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in settings and not name.startswith("RTDEMO_")
    }
    # Relative paths would be wrong in the server's folder.
    given = [str(Path(one).absolute()) for one in kept.get("PYTHONPATH", "").split(os.pathsep) if one]
    return kept | {"PYTHONPATH": os.pathsep.join([*given, str(_PROJECT_ROOT)])}


async def _read_url(process: asyncio.subprocess.Process) -> str:
    """Return the URL that a server prints when it has started."""
    line = b""
    if process.stdout is not None:
        try:
            async with asyncio.timeout(SERVER_START_TIMEOUT_S):
                line = await process.stdout.readline()
        except TimeoutError:
            pass
    words = line.decode().split()
    if not words:
        raise ServerError("own server", "did not start", "see its messages above")
    return words[-1]


async def _stop_server(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    # It has nothing to lose: no log on disk, and no client but bench.
    process.kill()
    await process.communicate()
