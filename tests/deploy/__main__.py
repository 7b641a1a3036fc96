"""Run every file of deploy/ with the program that it is for, also those that CI does not install.

    make deploy
    make deploy ARGS="--only envoy --clients 1000"

Prints a line for each part. The exit code is 1 if one fails.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from tests.cluster.proxies import PROXIES
from tests.deploy import programs, through_proxy
from tests.deploy.files import ROOT
from tests.deploy.rolling_update import roll

IDLE_S = 70
"""Silence in which doctor looks for a cut: longer than each configuration's limits."""
Part = Callable[[Path], Awaitable[list[str]]]


async def _rolling(proxy: str, clients: int, folder: Path) -> list[str]:
    done = await roll(folder, [proxy], clients)
    for name, report in done.reports.items():
        print(
            f"     {name}: {report.clients} clients, {report.connections} connections,"
            f" {report.received} messages, {report.failed_attempts} refused"
        )
    return done.faults


async def _in_thread(check: Callable[[], list[str]], folder: Path) -> list[str]:
    return await asyncio.to_thread(check)


async def _dockerfile(folder: Path) -> list[str]:
    command = [sys.executable, "-m", "deploy.run_dockerfile"]
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return [] if ran.returncode == 0 else (ran.stdout + ran.stderr).splitlines()[-20:]


def parts(clients: int) -> dict[str, Part]:
    """Return the parts by their names."""
    found: dict[str, Part] = {}
    for proxy in PROXIES:
        found[f"{proxy}: both transports, texts, doctor"] = partial(
            through_proxy.faults, proxies=[proxy], idle_s=IDLE_S
        )
        found[f"{proxy}: rolling update"] = partial(_rolling, proxy, clients)
    return found | {
        "promtool: configuration, alerts, tests of alerts": partial(_in_thread, programs.promtool),
        "prometheus: alerts, dashboard": programs.prometheus,
        "kubernetes: schemas": partial(_in_thread, programs.kubernetes),
        "Dockerfile: each step in a clean root": _dockerfile,
    }


async def run(chosen: dict[str, Part]) -> bool:
    """Run parts one by one; return whether all are right."""
    is_right = True
    for name, part in chosen.items():
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="rtdemo-deploy-", ignore_cleanup_errors=True) as folder:
            faults = await part(Path(folder))
        is_right = is_right and not faults
        print(f"{'fail' if faults else 'ok':<5}{name} ({time.monotonic() - began:.0f} s)", flush=True)
        for fault in faults:
            print(f"     {fault}")
    return is_right


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="parts with this in their names"
    )
    parser.add_argument("--clients", type=int, default=200, help="of a rolling update")
    options = parser.parse_args()
    chosen = {
        name: part
        for name, part in parts(options.clients).items()
        if not options.only or any(one.lower() in name.lower() for one in options.only)
    }
    return 0 if asyncio.run(run(chosen)) else 1


if __name__ == "__main__":
    sys.exit(main())
