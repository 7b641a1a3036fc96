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
from rtdemo.listen import sites
from rtdemo.settings import Settings
from rtdemo.slot import Slot
from rtdemo.spawner import Spawner, free_addresses

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
        alive = inherited.pipe()
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
