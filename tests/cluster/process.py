"""Run programs that die with the test."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.free_port import free_port


class Process:
    """Start, kill and freeze one program that listens on a port of loopback.

    Arguments:
        command: what to run.
        port: where it serves HTTP.
        log: file for its output and errors.
        environ: environment variables in addition to those of this process.
        scheme: `https` for a program that speaks TLS, with any certificate.
    """

    def __init__(
        self,
        command: list[str],
        port: int,
        log: Path,
        environ: Mapping[str, str] | None = None,
        scheme: str = "http",
    ) -> None:
        self.scheme = scheme
        self.command = command
        self.port = port
        self.log = log
        self.environ = {**os.environ, **(environ or {})}
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def start(self, path: str = "/healthz") -> None:
        """Start it and wait until a path returns 200."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, stdout=log, stderr=log, env=self.environ, start_new_session=True
            )
        async with aiohttp.ClientSession() as http:
            while self.process.returncode is None:
                try:
                    async with http.get(f"{self.url}{path}", ssl=False) as answer:
                        if answer.status == 200:
                            return
                except (aiohttp.ClientError, OSError):
                    pass
                await asyncio.sleep(0.02)
        raise AssertionError(f"{self.command[0]} ended: {self.log.read_text()[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def kill(self) -> None:
        """Kill it."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def end(self) -> None:
        """Kill it with all that it started: without their parent, nginx's and Apache's workers stay."""
        await self.kill()
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def stop(self) -> int:
        """Stop it by SIGTERM; return its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        return await self.process.wait()


def rtdemo(folder: Path, name: str, *arguments: str) -> Process:
    """Return an rtdemo server with one site on a free port; it is not started yet."""
    port = free_port()
    command = [sys.executable, "-m", "rtdemo", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--single-site", "--log-level", "warning", *arguments]
    return Process(command, port, folder / f"{name}.log")
