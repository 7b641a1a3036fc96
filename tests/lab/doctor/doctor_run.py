"""Run `rtdemo doctor` in this process, on servers and proxies that end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rtdemo.lab import address
from rtdemo.lab.doctor.report import Report, Result
from rtdemo.lab.doctor.run import Examination
from rtdemo.plugin_system.checks import Check
from rtdemo.server.server import Server
from rtdemo.settings.folders import bundled
from rtdemo.settings.settings import Settings
from tests.lab.doctor import proxies

IDLE = 8
"""Seconds of silence: over the heartbeat, and over the limits of the set-ups."""
HEARTBEAT = 6.0

Findings = dict[str, Result]


@asynccontextmanager
async def served(often: bool = False, **changes: Any) -> AsyncIterator[Server]:
    """Serve the built-in plugins, in real time.

    Arguments:
        often: whether shared messages come more often than theirs.
    """
    local: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "single_site": True}
    local |= {"heartbeat": HEARTBEAT, "plugins_dir": str(bundled("plugins"))}
    files = [Path(__file__).parent / "frequent_messages.py"] if often else []
    server = Server(Settings(**{**local, **changes}), files)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def examine(url: str, idle: int = IDLE, checks: Iterable[Check] = ()) -> Report:
    """Return what doctor finds."""
    report = Report(url)
    await Examination(address.parse(url), idle, checks, report).run()
    return report


def findings(report: Report) -> Findings:
    """Return what was found, by check."""
    return {result.check: result for result in report.checks}


async def behind(folder: Path, setup: str, given: list[str]) -> Findings:
    """Return what doctor finds behind a proxy, or without one."""
    async with served() as server:
        if not setup:
            return findings(await examine(server.web_url))
        folder.mkdir()
        port = int(server.web_url.rpartition(":")[2])
        process = proxies.proxy(folder, setup, port, given)
        await process.start()
        try:
            return findings(await examine(process.url))
        finally:
            await process.stop()


async def before_and_after(folder: Path, setups: Iterable[str]) -> dict[str, tuple[Findings, Findings]]:
    """Examine set-ups, and those with a fault once more with the fixes that were printed."""

    async def tried(setup: str) -> tuple[Findings, Findings]:
        before = await behind(folder / f"{setup}.before", setup, [])
        fixes = [d for result in before.values() for d in proxies.directives(result.fix)]
        after = await behind(folder / f"{setup}.after", setup, fixes) if fixes else before
        return before, after

    names = list(setups)
    return dict(zip(names, await asyncio.gather(*map(tried, names)), strict=True))
