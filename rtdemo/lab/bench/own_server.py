"""Start an rtdemo server to measure, where none was named."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import rtdemo
from rtdemo.errors import ServerError
from rtdemo.lab import address as addresses
from rtdemo.lab.address import Address
from rtdemo.settings import SETTINGS

START_TIMEOUT = 20.0
STOP_TIMEOUT = 40.0
_COMMAND = ("-m", "rtdemo", "serve", "--host", "127.0.0.1", "--port", "0", "--single-site")
_QUIET = ("--log-level", "warning", "--workers", "1", "--probes", "--engine", "memory")
_ROOT = Path(rtdemo.__file__).parent.parent


@asynccontextmanager
async def own_server() -> AsyncIterator[Address]:
    """Run a server of this installation on a free port of loopback, within the block.

    It stands in an empty folder and knows no setting from here, so that it is the same wherever it runs.

    Raises:
        ServerError: where it does not start.
    """
    with TemporaryDirectory(prefix="rtdemo-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *_COMMAND, *_QUIET),
            cwd=folder,
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield addresses.parse(await _announced(process))
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
    return kept | {"PYTHONPATH": os.pathsep.join([*given, str(_ROOT)])}


async def _announced(process: asyncio.subprocess.Process) -> str:
    line = b""
    if process.stdout is not None:
        try:
            async with asyncio.timeout(START_TIMEOUT):
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
        async with asyncio.timeout(STOP_TIMEOUT):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
