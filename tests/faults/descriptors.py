"""All file descriptors of the server are in use."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time

from tests.faults.attack import Figures
from tests.faults.target import Setup, Target
from tests.raw_client import RawClient

LIMIT, SILENT = 256, 400
ATTACK_S, CHECK_EVERY_S, CHECK_TIMEOUT_S = 12.0, 0.2, 2.0
BEGIN_TIMEOUT_S, RECOVERY_TIMEOUT_S = 10.0, 20.0
_REPORT = re.compile(r"ulimit -n|file descriptors", re.IGNORECASE)


async def exhaust(setup: Setup, with_uvloop: bool) -> Figures:
    """Keep 400 silent connections open at a limit of 256 descriptors, and renew those that are closed.

    Arguments:
        setup: starts the server.
        with_uvloop: whether it may use uvloop.
    """
    async with setup.server(descriptors=LIMIT, with_uvloop=with_uvloop) as target:
        logged = target.log.stat().st_size
        cpu = target.cpu_seconds()
        seconds = setup.seconds(ATTACK_S)
        connected = [asyncio.Event() for _ in range(SILENT)]
        attackers = [asyncio.ensure_future(_silent(target, event)) for event in connected]
        async with asyncio.timeout(BEGIN_TIMEOUT_S):
            await asyncio.gather(*(event.wait() for event in connected))
        unanswered = await _health_checks(target, seconds)
        cpu_share = (target.cpu_seconds() - cpu) / seconds
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)
        recovered = await _recovery(target)
        text = target.log_text()
        return {
            "health checks unanswered": unanswered,
            "recovery": recovered,
            "lines that report it": sum(bool(_REPORT.search(line)) for line in text.splitlines()),
            "log": (target.log.stat().st_size - logged) / 1024 / seconds,
            "CPU": cpu_share * 100,
        }


async def _silent(target: Target, connected: asyncio.Event) -> None:
    """Connect, send nothing, and connect again when the server closes.

    Arguments:
        target: the server.
        connected: set once it has connected.
    """
    while True:
        peer = RawClient(target, "sse")
        try:
            await peer.connect()
            connected.set()
            await peer.read_to_end()
        except OSError:
            pass
        finally:
            peer.leave(by_reset=True)
        # A stranger from elsewhere is not faster either.
        await asyncio.sleep(0.1)


async def _health_checks(target: Target, seconds: float) -> int:
    end = time.monotonic() + seconds
    unanswered = 0
    while time.monotonic() < end:
        unanswered += not await _is_healthy(target)
        await asyncio.sleep(CHECK_EVERY_S)
    return unanswered


async def _recovery(target: Target) -> float:
    """Return the seconds until ten connections at once are served."""
    start = time.monotonic()
    while time.monotonic() < start + RECOVERY_TIMEOUT_S:
        if all(await asyncio.gather(*(_is_healthy(target) for _ in range(10)))):
            break
    return time.monotonic() - start


async def _is_healthy(target: Target) -> bool:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return (await target.get("/healthz"))[0] == 200
    return False
