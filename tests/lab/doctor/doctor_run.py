"""Run the checks of `rtdemo doctor` in this process, on servers and proxies of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rtdemo.lab.doctor.report import Report, Result
from rtdemo.lab.doctor.run import Examination
from rtdemo.plugin_system.checks import Check
from rtdemo.protocol import address
from rtdemo.server.server import Server
from rtdemo.settings.folders import bundled
from rtdemo.settings.settings import Settings
from tests.lab.doctor import proxies

IDLE_S = 8
"""Seconds of silence: more than the heartbeat, and more than the idle timeouts of the set-ups."""
HEARTBEAT_S = 6.0
"""Seconds between heartbeats of the server."""

Findings = dict[str, Result]


@asynccontextmanager
async def served(often: bool = False, **changes: Any) -> AsyncIterator[Server]:
    """Serve the built-in plugins, in real time.

    Arguments:
        often: whether to add a plugin that sends shared messages more often.
        changes: settings other than the defaults of this function.
    """
    local: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "single_site": True}
    local |= {"drain_seconds": 0.0, "heartbeat": HEARTBEAT_S, "plugins_dir": str(bundled("plugins"))}
    files = [Path(__file__).parent / "frequent_messages.py"] if often else []
    server = Server(Settings(**{**local, **changes}), files)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def examine(url: str, idle: int = IDLE_S, checks: Iterable[Check] = ()) -> Report:
    """Run doctor on a URL; return its report."""
    report = Report(url)
    await Examination(address.parse(url), idle, checks, report).run()
    return report


def findings(report: Report) -> Findings:
    """Return the findings of a report by check; of two about different HTTP versions, the worse."""
    order = ("skip", "ok", "warn", "fail")
    found: Findings = {}
    for result in report.checks:
        other = found.get(result.check)
        if other is None or order.index(other.verdict) < order.index(result.verdict):
            found[result.check] = result
    return found


async def behind(folder: Path, setup: str, fixes: list[str]) -> Findings:
    """Return the findings behind a proxy.

    Arguments:
        folder: for the proxy's files.
        setup: name of a file in setups/; empty for no proxy.
        fixes: directives to add to that file.
    """
    async with served() as server:
        if not setup:
            return findings(await examine(server.web_url))
        folder.mkdir()
        port = int(server.web_url.rpartition(":")[2])
        process = proxies.proxy(folder, setup, port, fixes)
        await process.start()
        try:
            return findings(await examine(process.url))
        finally:
            await process.stop()


async def before_and_after(folder: Path, setups: Iterable[str]) -> dict[str, tuple[Findings, Findings]]:
    """Return the findings for each set-up, without and with the fixes that doctor printed."""

    async def run_twice(setup: str) -> tuple[Findings, Findings]:
        before = await behind(folder / f"{setup}.before", setup, [])
        fixes = [directive for result in before.values() for directive in proxies.directives(result.fix)]
        after = await behind(folder / f"{setup}.after", setup, fixes) if fixes else before
        return before, after

    names = list(setups)
    return dict(zip(names, await asyncio.gather(*map(run_twice, names)), strict=True))
