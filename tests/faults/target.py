"""The server under attack: a process of its own, and what the kernel reports about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from rtdemo.lab.bench.machine import cpu_seconds
from tests.cluster.process import Process, rtdemo
from tests.cluster.scenarios import children

START_TIMEOUT_S, STOP_TIMEOUT_S = 60.0, 10.0
LONG_S = 300.0
"""Duration of a flood with `--long`."""
QUEUES, INODE = 4, 9
"""Fields of /proc/net/tcp."""
MIB = 1024 * 1024
WITHOUT_UVLOOP = (
    "import runpy, sys; sys.modules['uvloop'] = None; runpy.run_module('rtdemo', None, '__main__', True)"
)
"""Python code that starts rtdemo as if uvloop was not installed."""
WARM_UP = ("/", "/view", "/api/time", "/api/stats", "/api/producers", "/metrics", "/healthz")
"""Paths whose first answers import modules and compile templates: memory that no attack costs."""


class Target:
    """A running server.

    Attributes:
        process: the program.
        log: file with all that it prints.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.log = process.log

    @property
    def port(self) -> int:
        """Port of its one site."""
        return self.process.port

    @property
    def web_url(self) -> str:
        return self.process.url

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def _pids(self) -> list[int]:
        assert self.process.process is not None
        return [self.process.process.pid, *children(self.process)]

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used, with its workers."""
        return cpu_seconds(self._pids)

    def rss_mib(self) -> float:
        """Return its memory now."""
        return self._memory("VmRSS")

    def peak_rss_mib(self) -> float:
        """Return its largest memory since `forget_peak`."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        """Let the largest memory begin at the present one."""
        for pid in self._pids:
            # 5 resets the peak: proc(5), /proc/pid/clear_refs.
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _memory(self, field: str) -> float:
        kib = 0
        for pid in self._pids:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name == field:
                    kib += int(rest.split()[0])
        return kib / 1024

    def peers(self) -> dict[int, int]:
        """Return the connections that it has open: the client's port, and bytes that it has not read.

        A client with a full receive buffer does not hear that the server has closed.
        """
        found = {}
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            here, there = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
            # A socket without an inode has no process any more: proc(5).
            if here == self.port and fields[INODE] != "0":
                found[there] = int(fields[QUEUES].rpartition(":")[2], 16)
        return found

    def log_text(self) -> str:
        """Return what it has printed."""
        return self.log.read_text(errors="backslashreplace")

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        """Return status and body of a request of a well-behaved client on a new connection."""
        async with aiohttp.ClientSession() as http:
            timeout = aiohttp.ClientTimeout(total=10)
            async with http.get(self.web_url + path, timeout=timeout, **options) as answer:
                return answer.status, await answer.text()

    async def post(self, path: str, **options: Any) -> tuple[int, str]:
        """Post as a well-behaved client on a new connection; return status and body."""
        async with aiohttp.ClientSession() as http:
            timeout = aiohttp.ClientTimeout(total=10)
            async with http.post(self.web_url + path, timeout=timeout, **options) as answer:
                return answer.status, await answer.text()


class Setup:
    """What an attack may use.

    Arguments:
        folder: an empty folder for its files.
        is_long: whether floods last as long as those by which the faults were found.
    """

    def __init__(self, folder: Path, is_long: bool = False) -> None:
        self.folder = folder
        self.is_long = is_long

    def seconds(self, short: float) -> float:
        """Return how long a flood lasts: `short`, or five minutes with `--long`."""
        return LONG_S if self.is_long else short

    @asynccontextmanager
    async def server(
        self,
        *arguments: str,
        descriptors: int = 0,
        with_uvloop: bool = True,
        name: str = "server",
    ) -> AsyncIterator[Target]:
        """Run a server on a free port of loopback while the block runs.

        Arguments:
            arguments: further ones of `rtdemo serve`.
            descriptors: file descriptors that it may open, soft and hard; 0 for as many as this process.
            with_uvloop: whether it may use uvloop; else it runs on asyncio's own loop.
            name: of its log file.
        """
        process = rtdemo(self.folder, name, "--log-level", "info", *arguments)
        if not with_uvloop:
            process.command = [sys.executable, "-c", WITHOUT_UVLOOP, *process.command[3:]]
        if descriptors:
            process.command = [
                *("/bin/sh", "-c", f'ulimit -n {descriptors}; exec "$0" "$@"'),
                *process.command,
            ]
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await process.start()
            target = Target(process)
            for path in WARM_UP:
                await target.get(path)
            yield target
        finally:
            await process.kill()
