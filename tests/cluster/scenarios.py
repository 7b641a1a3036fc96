"""Failures of a deployment while clients of both transports follow its log.

Tests do short runs; `python -m tests.cluster.scenarios chaos --clients 200 --seconds 60` does a long
one and prints the reports.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import random
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from rtdemo import AsyncPublisher
from rtdemo.protocol.client import TRANSPORTS
from rtdemo.protocol.message import Position, parse_position
from tests.cluster.deployment import TICK_S, TICKER, Deployment, deployment
from tests.cluster.many_clients import (
    ClientGroup,
    DeliveryReport,
    connected_clients,
    summarize,
    wait_until_all_connected,
)
from tests.cluster.process import Process, rtdemo
from tests.cluster.recording_client import RecordingClient
from tests.redis_server import RedisServer

Reports = dict[str, DeliveryReport]


async def chaos(
    folder: Path, number: int = 200, seconds: float = 60.0, away: float = 10.0, flush: bool = False
) -> Reports:
    """Kill and restart a server, then Redis, and cut connections at random.

    Arguments:
        number: clients of each transport.
        seconds: duration; a server is killed after a sixth of it, Redis after a half.
        away: seconds for which Redis does not run.
        flush: whether Redis restarts without its data.
    """
    async with (
        deployment(folder) as parts,
        connected_clients(parts.proxy.url, parts.servers[1].url, number) as group,
    ):
        cutting = asyncio.ensure_future(_cut(group.clients, seconds / number / 4))
        await _disturb(parts, seconds, away, flush)
        cutting.cancel()
        return await group.finish()


async def _disturb(parts: Deployment, seconds: float, away: float, flush: bool) -> None:
    await asyncio.sleep(seconds / 6)
    await parts.servers[0].kill()
    await asyncio.sleep(seconds / 6)
    await parts.servers[0].start()
    await asyncio.sleep(seconds / 6)
    await parts.redis.stop()
    await asyncio.sleep(away)
    if flush:
        parts.redis.forget()
    await parts.redis.start()
    await asyncio.sleep(max(0.0, seconds / 2 - away))


async def _cut(clients: list[RecordingClient], pause: float) -> None:
    while True:
        random.choice(clients).cut()
        await asyncio.sleep(random.uniform(0, 2 * pause))


async def paused_leader(folder: Path, number: int = 50, seconds: float = 15.0) -> tuple[Reports, float]:
    """Pause the leader by SIGSTOP, then resume it.

    Returns:
        The reports, and the longest time in seconds between two ticks of the shared producer.
    """
    async with deployment(folder) as parts, aiohttp.ClientSession() as http:
        leader = await parts.leader(http)
        other = next(server for server in parts.servers if server is not leader)
        async with connected_clients(parts.proxy.url, other.url, number) as group:
            await asyncio.sleep(2)
            leader.signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            leader.signal(signal.SIGCONT)
            await asyncio.sleep(2)
            return await group.finish(), _longest_gap(group.clients)


def _longest_gap(clients: list[RecordingClient]) -> float:
    found = {
        (position, int(text.split()[1])): client.record.sent_at[position] / 1000
        for client in clients
        for position, text in client.record.texts.items()
        if text.startswith("tick ")
    }
    ticks = {number: at for (_, number), at in found.items()}
    assert len(ticks) == len(found), "a number was published twice"
    numbers = sorted(ticks)
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "the producer's count has a gap"
    return max(ticks[number + 1] - ticks[number] for number in numbers[:-1])


REWIND_S, STAY_S = 5.0, 2.0
"""Seconds of the past that each client of `rewind` asks for, and for which it stays."""


async def rewind(
    folder: Path, number: int = 500, seconds: float = 30.0, rate: int = 200
) -> tuple[Reports, float]:
    """Let clients join with `?rewind=5s` on two servers, while values are published, and leave again.

    Arguments:
        number: clients of each transport; half of each join at each server.
        seconds: over which they join.
        rate: values published a second.

    Returns:
        The reports, and the median of the seconds from a client's connect to its first value.
    """
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with (
        deployment(folder) as parts,
        AsyncPublisher(parts.servers[0].url) as publisher,
        aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
    ):
        published: dict[Position, str] = {}
        publishing = asyncio.ensure_future(_publish_values(publisher, rate, published))
        await asyncio.sleep(REWIND_S + 1)
        clients = [
            RecordingClient(http, parts.servers[index % 2].url, transport, f"rewind={REWIND_S:.0f}s")
            for index in range(number)
            for transport in TRANSPORTS
        ]
        visits = []
        for client in clients:
            visits.append(asyncio.ensure_future(_visit(client)))
            await asyncio.sleep(seconds / len(clients))
        arrivals = await asyncio.gather(*visits)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
    sent_at = {place: at for client in clients for place, at in client.record.sent_at.items()}
    for client, arrived in zip(clients, arrivals, strict=True):
        # The server looked at its clock before the first value had arrived.
        first = min(client.record.texts)
        # A busy machine publishes fewer values, but not none for seconds.
        assert client.record.sent_at[first] < arrived - 1000, "the first value is none of the past"
        late = [
            place for place, at in sent_at.items() if at >= arrived - REWIND_S * 1000 and place < first
        ]
        client.record.missing += len(late)
    delays = [client.seconds_to_first_text or math.inf for client in clients]
    end = Position(next(iter(published)).epoch, 0)
    return summarize(clients, published, end), median(delays)


async def _visit(client: RecordingClient) -> float:
    """Connect, stay a while after the first value, and leave; return when it had arrived, in ms."""
    running = asyncio.ensure_future(client.run())
    while not client.record.texts:
        await asyncio.sleep(0.05)
    arrived = time.time() * 1000
    await asyncio.sleep(STAY_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return arrived


async def _publish_values(publisher: AsyncPublisher, rate: int, published: dict[Position, str]) -> None:
    pause, number = 0.1, 0
    while True:
        texts = [f"value {number + index}" for index in range(round(rate * pause))]
        calls = [publisher.publish("value", number, text) for text in texts]
        number += len(texts)
        found, _ = await asyncio.gather(asyncio.gather(*calls), asyncio.sleep(pause))
        for position, text in zip(map(parse_position, found), texts, strict=True):
            assert position is not None
            published[position] = text


Step = Callable[[Process, ClientGroup], Awaitable[None]]


async def workers(folder: Path, step: Step, number: int = 50, count: int = 2) -> Reports:
    """Run a step on one server with several workers and one Redis; return the reports."""
    (folder / "redis").mkdir()
    (folder / "ticker.py").write_text(TICKER.format(tick_s=TICK_S))
    redis = RedisServer(folder / "redis")
    arguments = (str(folder / "ticker.py"), "--engine", redis.url, "--workers", str(count))
    server = rtdemo(folder, "server", *arguments)
    try:
        await redis.start()
        await server.start()
        async with aiohttp.ClientSession() as http:
            while (await stats(server, http))["workers"] < count:
                await asyncio.sleep(0.05)
        async with connected_clients(server.url, server.url, number) as group:
            await step(server, group)
            return await group.finish()
    finally:
        await server.stop()
        await redis.stop()


def children(server: Process) -> list[int]:
    """Return the ids of the processes that a server has started."""
    assert server.process is not None
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def stats(server: Process, http: aiohttp.ClientSession) -> Any:
    """Return the JSON of `/api/stats`."""
    async with http.get(f"{server.url}/api/stats") as answer:
        return await answer.json()


async def kill_a_worker(server: Process, group: ClientGroup) -> None:
    """Kill a worker; wait until another runs and all clients are connected."""
    before = set(children(server))
    os.kill(min(before), signal.SIGKILL)
    while len(children(server)) < len(before) or set(children(server)) == before:
        await asyncio.sleep(0.05)
    while (await stats(server, group.http))["workers"] < len(before):
        await asyncio.sleep(0.05)
    await wait_until_all_connected(group.clients)


async def replace_workers(server: Process, group: ClientGroup) -> None:
    """Replace all workers one by one; wait until all clients are connected."""
    before = set(children(server))
    server.signal(signal.SIGHUP)
    while before & set(children(server)) or len(children(server)) != len(before):
        await asyncio.sleep(0.05)
    await wait_until_all_connected(group.clients)


def _print(reports: Reports) -> None:
    for transport, found in reports.items():
        print(transport, " ".join(f"{name}={value}" for name, value in vars(found).items()))


async def _run(options: argparse.Namespace, folder: Path) -> None:
    if options.scenario == "chaos":
        _print(await chaos(folder, options.clients, options.seconds, options.away, options.flush))
    elif options.scenario == "rewind":
        reports, delay = await rewind(folder, options.clients, options.seconds, options.rate)
        _print(reports)
        print(f"first value after {delay:.3f} s (median)")
    elif options.scenario == "paused-leader":
        reports, gap = await paused_leader(folder, options.clients, options.seconds)
        _print(reports)
        print(f"longest time between two ticks: {gap:.2f} s; their period is 0.2 s")
    else:

        async def kill_and_replace(server: Process, group: ClientGroup) -> None:
            await asyncio.sleep(3)
            spread = (await stats(server, group.http))["servers"]
            print("spread:", *(f"{name}: {count}" for name, count in spread["byServer"].items()))
            for step in (kill_a_worker, replace_workers):
                failures = sum(client.record.failed_attempts for client in group.clients)
                before = children(server)
                await step(server, group)
                failures = sum(client.record.failed_attempts for client in group.clients) - failures
                print(f"{step.__name__}: {before} -> {children(server)}; {failures} attempts failed")

        _print(await workers(folder, kill_and_replace, options.clients, options.workers))


def main() -> None:
    """Run one scenario and print its reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=["chaos", "paused-leader", "rewind", "workers"])
    parser.add_argument("--clients", type=int, default=200, help="of each transport")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--away", type=float, default=10.0, help="seconds for which Redis does not run")
    parser.add_argument("--flush", action="store_true", help="restart Redis without its data")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=int, default=200, help="values published a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(options, Path(folder)))


if __name__ == "__main__":
    main()
