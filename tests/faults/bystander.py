"""A well-behaved client beside an attack, in a process of its own, which times its requests.

Usage: python -m tests.faults.bystander PORT [--reconnect]. It asks for /api/time on one connection, or
with --reconnect on a new one each time, until its standard input ends. Then it prints a line of JSON:
requests, failures, and the longest time in milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import select
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.faults.target import Setup, Target

PAUSE_S, TIMEOUT_S = 0.005, 10.0
RECONNECT_TIMEOUT_S = 60.0
"""Time for an answer on a new connection: it waits behind all that the kernel has queued before."""
ROUNDS = 5
"""Times that a delay over its bound is measured again."""
MAX_DELAY_MS = 20.0
RECONNECT = "--reconnect"


@dataclass
class Delays:
    """What the bystander saw.

    Attributes:
        requests: answered ones.
        failures: those without an answer, or with another one than 200.
        worst_ms: the longest time from request to answer.
    """

    requests: int = 0
    failures: int = 0
    worst_ms: float = 0.0


@contextlib.asynccontextmanager
async def bystander(target: Target, *options: str) -> AsyncIterator[Delays]:
    """Run a bystander while the block runs; then fill what it saw.

    Arguments:
        target: the server that it asks.
        options: of its command line.
    """
    delays = Delays()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.bystander", str(target.port), *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()  # it has begun
        yield delays
    finally:
        out, _ = await process.communicate(b"")  # which closes its standard input
        vars(delays).update(json.loads(out))


async def delay_added(
    setup: Setup,
    target: Target,
    attack: Callable[[Target], Awaitable[object]],
    harmless: Callable[[Target], Awaitable[object]] | None = None,
) -> Mapping[str, float]:
    """Make an attack up to five times; return the delays of others in the best round.

    At the same time a second bystander asks a second server, which nobody attacks. Its worst delay is
    what the machine does to everyone, and is subtracted. Rounds end at the first within the bound: what
    an attack causes is in all of them.

    Arguments:
        setup: starts the second server.
        target: the server that is attacked.
        attack: one round.
        harmless: the same number of good requests to the second server. On a busy machine, a server
            that has work waits longer for the processor than one that has none.
    """
    rounds = []
    async with setup.server(name="not-attacked") as other:
        for _ in range(ROUNDS):
            async with bystander(target) as delays, bystander(other) as noise:
                beside = [harmless(other)] if harmless else []
                await asyncio.gather(attack(target), *beside)
            added = max(0.0, delays.worst_ms - noise.worst_ms)
            rounds.append((added, delays.worst_ms, delays.failures))
            if added <= MAX_DELAY_MS:
                break
    added, worst, failures = min(rounds)
    return {"delay added to others": added, "worst delay of others": worst, "requests failed": failures}


def main(port: int, reconnects: bool) -> None:
    delays = Delays()
    timeout = RECONNECT_TIMEOUT_S if reconnects else TIMEOUT_S
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    sys.stdout.write("\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        start = time.perf_counter()
        try:
            connection.request("GET", "/api/time")
            answer = connection.getresponse()
            answer.read()
            is_answered = answer.status == 200
        except (OSError, http.client.HTTPException):
            is_answered = False
        if reconnects or not is_answered:
            connection.close()
        delays.requests += is_answered
        delays.failures += not is_answered
        delays.worst_ms = max(delays.worst_ms, (time.perf_counter() - start) * 1000)
    sys.stdout.write(json.dumps(vars(delays)))


if __name__ == "__main__":
    main(int(sys.argv[1]), RECONNECT in sys.argv)
