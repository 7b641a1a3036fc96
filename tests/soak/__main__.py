"""Let connections stay while others come and go, and show what the server keeps of them: `make soak`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import aiohttp
import uvloop

from benchmarks.client import Load
from benchmarks.process import allow_open_files
from benchmarks.streams import Framing
from benchmarks.window import Plan
from tests.cluster.process import Process, rtdemo
from tests.soak import count_blocks
from tests.soak.visitors import PATHS, Visits, visit_for

MAX_GROWTH_KIB = 1024
"""Growth of the resident memory that is allowed, whatever the length of the soak."""
HISTORY_COUNT = 100
"""Messages that the log keeps: it is full before the first reading, so that it grows no more."""
HEARTBEAT_S = 3
"""Seconds between pings. A visitor's next one stays in the schedule until it would be due."""
WARM_UP_SHARE, MIN_WARM_UP_S = 0.2, HEARTBEAT_S + 1.0
"""Part of the seconds for which visitors come before the first reading, and the least."""
BURST_S, BURST_RATE = 0.01, 20_000
"""Before them, visitors at once, as come after a pause of this machine: some freed memory stays."""
CACHED_URLS = 128
"""Newest URLs that yarl keeps, each with its parsed query."""
PUBLISH_PAUSE_S = 1.0
"""Seconds between two messages to all connections."""
SETTLE_S, POLL_S = 30.0, 0.3
"""Seconds in which the figures come to rest after the last visitor, and between two readings of them."""
KEPT_BLOCKS_PER_VISITOR = 0.1
"""A leak keeps at least one block of each visitor."""
BLOCKS_PER_CONNECTION = 4
"""Counters of a connection that stays: a number above 256 takes a block. Three were measured."""
MIN_BLOCKS = 1000
"""Lists and tables of the server vary by some."""


@dataclass(frozen=True)
class Reading:
    """What the server has at one moment.

    Attributes:
        memory: resident, in KiB.
        descriptors: open files and sockets.
        connections: open, over both transports.
        tasks: of asyncio.
        timers: ticks in the schedule.
        blocks: pieces of memory of up to 512 bytes that Python objects take.
    """

    memory: int
    descriptors: int
    connections: int
    tasks: int
    timers: int
    blocks: int


@dataclass(frozen=True)
class Soak:
    """What a soak showed.

    Attributes:
        before, after: with the same connections open, and no visitors.
        lost: connections that were to stay, and ended.
        visits: connections that came and went between the readings.
        seconds: for which they came.
    """

    before: Reading
    after: Reading
    lost: int
    visits: Visits
    seconds: float

    @property
    def failures(self) -> list[str]:
        """What must not be: growth beyond what is allowed, and clients that were not served."""
        blocks = round(self.visits.served * KEPT_BLOCKS_PER_VISITOR)
        blocks += MIN_BLOCKS + self.before.connections * BLOCKS_PER_CONNECTION
        allowed = {"memory": MAX_GROWTH_KIB, "blocks": blocks}
        before, after = asdict(self.before), asdict(self.after)
        grown = [name for name in before if after[name] - before[name] > allowed.get(name, 0)]
        counts = {"connections lost": self.lost, "visitors not served": self.visits.failed}
        return grown + [f"{count} {what}" for what, count in counts.items() if count]

    def table(self) -> str:
        """Return the figures as lines of text, and the verdict."""
        lines = [f"{'':14}{'before':>12}{'after':>12}{'growth':>12}"]
        after = asdict(self.after)
        for name, before in asdict(self.before).items():
            title = f"{name} KiB" if name == "memory" else name
            lines.append(f"{title:14}{before:>12,}{after[name]:>12,}{after[name] - before:>+12,}")
        served = self.visits.served
        rate = f"{served / self.seconds:.0f} a second"
        verdict = f"FAILS: {', '.join(self.failures)}" if self.failures else "holds"
        lines.append(f"{served:,} visitors in {self.seconds:.0f} s, {rate}: {verdict}")
        return "\n".join(lines)


async def soak(
    folder: Path, seconds: float, connections: int, rate: float, plugins: Sequence[Path] = ()
) -> Soak:
    """Start a server, let connections stay and visitors come and go, and return what grew.

    Arguments:
        folder: for the server's log.
        seconds: between the readings.
        connections: that stay, half of them over each transport.
        rate: visitors per second.
        plugins: more plugin files for the server.
    """
    files = [str(path) for path in (Path(count_blocks.__file__), *plugins)]
    flags = ("--history-count", str(HISTORY_COUNT), "--heartbeat", str(HEARTBEAT_S))
    server = rtdemo(folder, "soak", *flags, *files)
    await server.start()
    try:
        async with aiohttp.ClientSession(server.url) as http:
            await _fill(http)
            loads = [await _stay(server.port, framing, connections // 2) for framing in PATHS]
            await visit_for(BURST_S, server.port, BURST_RATE)
            await _load(http, server.port, max(MIN_WARM_UP_S, seconds * WARM_UP_SHARE), rate)
            before = await _read(http, server)
            visits = await _load(http, server.port, seconds, rate)
            after = await _read(http, server)
            lost = sum(load.tally.lost for load in loads)
            return Soak(before, after, lost, visits, seconds)
    finally:
        await server.kill()


async def _fill(http: aiohttp.ClientSession) -> None:
    """Fill what the server keeps a bounded number of: messages and URLs."""
    await _publish(http, [{"message": "the log is full"}] * HISTORY_COUNT)
    for number in range(CACHED_URLS):
        async with http.post("/api/messages", params={"client": str(number)}) as answer:
            assert answer.status == 404


async def _stay(port: int, framing: Framing, number: int) -> Load:
    plan = Plan("idle", framing, port, port, PATHS[framing], number, 0.0, 0.0, 0)
    load = Load(plan)
    await load.open(number, at_once=False)
    return load


async def _load(http: aiohttp.ClientSession, port: int, seconds: float, rate: float) -> Visits:
    publishing = asyncio.ensure_future(_publish_for_ever(http))
    try:
        return await visit_for(seconds, port, rate)
    finally:
        publishing.cancel()
        await asyncio.wait({publishing})


async def _publish_for_ever(http: aiohttp.ClientSession) -> None:
    while True:
        await _publish(http, {"message": "to all"})
        await asyncio.sleep(PUBLISH_PAUSE_S)


async def _publish(http: aiohttp.ClientSession, body: object) -> None:
    async with http.post("/api/publish", json=body) as answer:
        answer.raise_for_status()


async def _read(http: aiohttp.ClientSession, server: Process) -> Reading:
    """Read everything, once the visitors have left and two readings in a row are alike."""
    reading = await _read_counters(http, server)
    async with asyncio.timeout(SETTLE_S):
        while True:
            await asyncio.sleep(POLL_S)
            before, reading = reading, await _read_counters(http, server)
            if before == reading:
                return replace(reading, blocks=await _count_blocks(http))


async def _count_blocks(http: aiohttp.ClientSession) -> int:
    async with http.ws_connect("/ws?producers=") as client:
        await client.send_str(count_blocks.QUESTION)
        while True:
            text = str((await client.receive_json())["message"])
            if text.startswith(count_blocks.ANSWER):
                return int(text.removeprefix(count_blocks.ANSWER))


async def _read_counters(http: aiohttp.ClientSession, server: Process) -> Reading:
    async with http.get("/api/stats") as answer:
        stats = await answer.json()
    assert server.process is not None
    process = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Reading(
        memory=int(status["VmRSS"].split()[0]),
        descriptors=len(list((process / "fd").iterdir())),
        connections=sum(stats["connections"].values()),
        tasks=stats["tasks"],
        timers=stats["timers"],
        blocks=0,
    )


def main() -> None:
    """Run a soak, print its table, and exit with 1 if something grew."""
    parser = argparse.ArgumentParser(prog="make soak", description="Show what the server keeps.")
    parser.add_argument("--seconds", type=float, default=600.0, help="between the readings")
    parser.add_argument("--connections", type=int, default=2000, help="that stay")
    parser.add_argument("--rate", type=float, default=50.0, help="visitors per second")
    given = parser.parse_args()
    allow_open_files()
    with tempfile.TemporaryDirectory() as folder:
        work = soak(Path(folder), given.seconds, given.connections, given.rate)
        result = uvloop.run(work)
    print(result.table())
    sys.exit(bool(result.failures))


if __name__ == "__main__":
    main()
