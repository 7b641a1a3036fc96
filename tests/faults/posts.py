"""Clients that post to streams which do not exist."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from secrets import token_hex

from tests.faults.attack import Figures
from tests.faults.bystander import RECONNECT, bystander
from tests.faults.peers import reading, streams
from tests.faults.target import Setup, Target
from tests.raw_client import RawClient

WORKERS = 4
ATTACKERS, FLOOD_S = 64, 15.0
MAX_STAY_S = 0.004
"""Time after which an attacker resets its connection, at the most."""
BODY = b"x" * 20_000
STARTED, KILLED = "is process", "was killed"
"""Parts of what the parent logs for each worker."""


async def posts_to_nobody(setup: Setup) -> Figures:
    """Post to unknown clients of a server with several workers, which then ask each other."""
    arguments = ("--workers", str(WORKERS), "--isolated-workers")
    async with setup.server(*arguments) as target:
        while target.log_text().count(STARTED) < WORKERS:
            await asyncio.sleep(0.1)
        cpu_s = target.cpu_seconds()
        async with (
            streams(target, "websocket", WORKERS) as listeners,
            reading(listeners) as cut,
            bystander(target, RECONNECT) as delays,
        ):
            end = time.monotonic() + setup.seconds(FLOOD_S)
            sent = sum(await asyncio.gather(*(_flood(target, end) for _ in range(ATTACKERS))))
            listeners_cut = len(cut)
        # The bystander's last answer comes after all that was queued before it.
        cpu_s = target.cpu_seconds() - cpu_s
        return {
            "posts": sent,
            "workers killed": target.log_text().count(KILLED),
            "listeners cut": listeners_cut,
            "CPU of a post": cpu_s / max(sent, 1) * 1000,
            "slowest new connection": delays.worst_ms / 1000,
            "new connections failed": delays.failures,
        }


async def _flood(target: Target, end: float) -> int:
    sent = 0
    while time.monotonic() < end:
        peer = RawClient(target, "sse")
        head = f"POST /api/messages?client={token_hex(16)} HTTP/1.1\r\nHost: localhost\r\n"
        with suppress(OSError):
            await peer.connect()
            await peer.send(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
            sent += 1
            await asyncio.sleep(random.uniform(0, MAX_STAY_S))
        peer.leave(by_reset=True)
    return sent
