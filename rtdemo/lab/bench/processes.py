"""Start the processes that measure and talk to them; whoever starts them never measures itself."""

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
from rtdemo.lab import address as addresses
from rtdemo.lab.address import Address
from rtdemo.lab.bench.protocol import MAX_LINE_BYTES, Plan
from rtdemo.settings.settings import SETTINGS

MAX_REPLY_BYTES = 64 * 1024 * 1024
WORKER_EXIT_TIMEOUT_S = 5.0
T = TypeVar("T")


class Processes:
    """Say the same to several processes, and hear what each answers."""

    def __init__(self, url: str, started: list[asyncio.subprocess.Process]) -> None:
        self._url = url
        self._started = started

    def say(self, contents: Iterable[msgspec.Struct]) -> None:
        """Say one line to each."""
        for process, content in zip(self._started, contents, strict=True):
            line = msgspec.json.encode(content)
            if process.stdin is None or len(line) >= MAX_LINE_BYTES:
                raise ValueError("a line that no process could read")
            process.stdin.write(line + b"\n")

    def send_all(self, content: msgspec.Struct) -> None:
        """Say one line to all."""
        self.say([content] * len(self._started))

    async def hear(self, kind: type[T], seconds: float) -> list[T]:
        """Return what each answers.

        Raises:
            ServerError: where one says nothing in time, or has died.
        """
        try:
            async with asyncio.timeout(seconds):
                return [await self._line(process, kind) for process in self._started]
        except (TimeoutError, msgspec.DecodeError) as error:
            problem = f"could not be measured: a process said nothing within {seconds:.0f} s"
            if isinstance(error, msgspec.DecodeError):
                problem = "could not be measured: a process died"
            raise ServerError(self._url, problem, "give fewer connections with -n") from error

    @staticmethod
    async def _line(process: asyncio.subprocess.Process, kind: type[T]) -> T:
        if process.stdout is None:
            raise ValueError("a process without an output")
        return msgspec.json.decode(await process.stdout.readline(), type=kind)


@asynccontextmanager
async def processes(plans: Iterable[Plan]) -> AsyncIterator[Processes]:
    """Start a process for each plan and tell it; all are gone afterwards."""
    plans = list(plans)
    started: list[asyncio.subprocess.Process] = []
    try:
        for _ in plans:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rtdemo.lab.bench.worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=MAX_REPLY_BYTES,
                # Ctrl-C is for whoever asked: that one ends the measurement.
                start_new_session=True,
            )
            started.append(process)
        these = Processes(plans[0].url, started)
        these.say(plans)
        yield these
    finally:
        for process in started:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WORKER_EXIT_TIMEOUT_S):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


SERVER_START_TIMEOUT_S = 20.0
SERVER_STOP_TIMEOUT_S = 40.0
_COMMAND = ("-m", "rtdemo", "serve", "--host", "127.0.0.1", "--port", "0", "--single-site")
_OPTIONS = ("--log-level", "warning", "--workers", "1", "--probes", "--engine", "memory")
_PROJECT_ROOT = Path(rtdemo.__file__).parent.parent


@asynccontextmanager
async def own_server() -> AsyncIterator[Address]:
    """Run a server of this installation on a free port of loopback, within the block.

    It stands in an empty folder and knows no setting from here, so that it is the same wherever it runs.

    Raises:
        ServerError: where it does not start.
    """
    with TemporaryDirectory(prefix="rtdemo-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *_COMMAND, *_OPTIONS),
            cwd=folder,
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield addresses.parse(await _read_url(process))
        finally:
            await _stop(process)


def _environment() -> dict[str, str]:
    settings = {setting.variable for setting in SETTINGS.values()}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in settings and not name.startswith("RTDEMO_")
    }
    # From another folder a relative path leads nowhere.
    given = [str(Path(one).absolute()) for one in kept.get("PYTHONPATH", "").split(os.pathsep) if one]
    return kept | {"PYTHONPATH": os.pathsep.join([*given, str(_PROJECT_ROOT)])}


async def _read_url(process: asyncio.subprocess.Process) -> str:
    line = b""
    if process.stdout is not None:
        try:
            async with asyncio.timeout(SERVER_START_TIMEOUT_S):
                line = await process.stdout.readline()
        except TimeoutError:
            pass
    words = line.decode().split()
    if not words:
        raise ServerError("own server", "did not start", "see above for why")
    return words[-1]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(SERVER_STOP_TIMEOUT_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
