"""The load client: one process that opens connections, measures one window, and prints it as JSON.

Its argument is a Plan as JSON. Where its CPU time comes near the window's length, the client was
measured and not the server.
"""

import asyncio
import gc
import json
import random
import socket
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import inf

import msgspec
import uvloop

from benchmarks.process import allow_open_files, group_cpu_seconds, group_pss_kib, slab_kib
from benchmarks.publisher import publish_for
from benchmarks.streams import ECHO_STREAMS, STREAMS, EchoStream, Opening, Stream, Tally, request_bytes
from benchmarks.window import Plan, Window, latency
from rtdemo.lab.bench.machine import busy_seconds

HOST = "127.0.0.1"  # loopback only: this client is for the server beside it
IN_FLIGHT = 100
"""Connections that open at the same time; a listening socket of aiohttp lets 128 wait."""
ARRIVALS_PER_SECOND = 1000
"""Mean rate of new connections outside of a storm."""
PER_ADDRESS = 10_000
"""Connections from one source address, which has some 28,000 ports."""
IP_BIND_ADDRESS_NO_PORT = 24  # ip(7): the port is chosen at connect(), so that addresses share ports
WARM_UP, WARM_UP_SECONDS = 50, 0.2
"""Connections that come and go first, so that no figure has the server's first steps."""
OPENING_TIMEOUT, LEAVING_TIMEOUT = 180.0, 30.0
STILL_SECONDS, STILL_SHARE = 0.3, 0.05
"""A server is done with a storm once it uses less than this share of a core for so long."""


@dataclass(frozen=True)
class Reading:
    """Counters at one moment, in seconds."""

    clock: float
    server: float
    client: float
    machine: float


def read(group: int) -> Reading:
    """Read all counters now."""
    return Reading(time.perf_counter(), group_cpu_seconds(group), time.process_time(), busy_seconds())


class Load:
    """Connections to one server, which count into one tally."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Tally()
        self.streams: list[Stream] = []
        self._plan = plan
        self._request = request_bytes(plan.framing, f"{HOST}:{plan.port}", plan.path)
        self._status = b"HTTP/1.1 200" if plan.framing == "sse" else b"HTTP/1.1 101"
        streams = ECHO_STREAMS if plan.kind == "echo" else STREAMS
        self._stream = partial(streams[plan.framing], self.tally)

    async def open(self, number: int, *, at_once: bool) -> None:
        """Open connections, a bounded number at the same time.

        Arguments:
            number: of connections.
            at_once: without waiting; otherwise they arrive at random instants, the same ones for each
                server, which spreads periodic messages over their period.
        """
        arrivals = random.Random(number)
        instants = sorted(arrivals.uniform(0, number / ARRIVALS_PER_SECOND) for _ in range(number))
        gate = asyncio.Semaphore(IN_FLIGHT)
        began = time.perf_counter()
        async with asyncio.timeout(OPENING_TIMEOUT), asyncio.TaskGroup() as opening:
            tasks = []
            for index, instant in enumerate(instants):
                wait = began + instant - time.perf_counter()
                if wait > 0 and not at_once:
                    await asyncio.sleep(wait)
                tasks.append(opening.create_task(self._open_one(index, gate)))
        self.streams = [task.result() for task in tasks]

    async def _open_one(self, index: int, gate: asyncio.Semaphore) -> Stream:
        loop = asyncio.get_running_loop()
        async with gate:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            connection.bind((f"127.0.0.{1 + index // PER_ADDRESS}", 0))
            await loop.sock_connect(connection, (HOST, self._plan.port))
            opening = partial(Opening, self._request, self._status, self._stream)
            _, protocol = await loop.create_connection(opening, sock=connection)
            return await protocol.opened

    async def leave(self) -> None:
        """Let all connections leave, and return once the server is done with that."""
        self.tally.leaving = len(self.streams)
        for stream in self.streams:
            stream.leave()
        async with asyncio.timeout(LEAVING_TIMEOUT):
            await self.tally.all_left.wait()
        used, before = group_cpu_seconds(self._plan.group), -inf
        while used - before > STILL_SECONDS * STILL_SHARE:
            await asyncio.sleep(STILL_SECONDS)
            used, before = group_cpu_seconds(self._plan.group), used


async def warm_up(plan: Plan) -> None:
    """Let a few connections come and go."""
    load = Load(plan)
    await load.open(min(WARM_UP, plan.connections), at_once=True)
    await asyncio.sleep(WARM_UP_SECONDS)
    await load.leave()


async def pass_window(plan: Plan, load: Load) -> None:
    """Do what belongs in the window, until it has passed."""
    if plan.kind == "fanout":
        await publish_for(plan.seconds, HOST, plan.publish_port)
        return
    for stream in load.streams:
        if isinstance(stream, EchoStream):
            stream.ask()
    await asyncio.sleep(plan.seconds)


async def measure(plan: Plan) -> Window:
    """Open the connections, measure the window, and return what it showed."""
    await warm_up(plan)
    empty, kernel_empty = group_pss_kib(plan.group), slab_kib()
    load = Load(plan)
    before = read(plan.group)
    await load.open(plan.connections, at_once=plan.kind == "storm")
    opened = read(plan.group)
    if plan.kind == "storm":
        first, memory, kernel = before, group_pss_kib(plan.group), slab_kib()
        await load.leave()
        last = read(plan.group)
        count, received, lost, taken = plan.connections, load.tally.received_bytes, 0, latency([])
    else:
        gc.collect()
        gc.disable()  # nothing cyclic is made from here on
        await asyncio.sleep(plan.settle)
        del load.tally.latencies[:]
        began, first = replace(load.tally), read(plan.group)
        await pass_window(plan, load)
        last, memory, kernel = read(plan.group), group_pss_kib(plan.group), slab_kib()
        count = load.tally.delivered - began.delivered
        received = load.tally.received_bytes - began.received_bytes
        lost, taken = load.tally.lost, latency(load.tally.latencies)
    return Window(
        seconds=last.clock - first.clock,
        count=count,
        received_bytes=received,
        lost=lost,
        server_cpu=last.server - first.server,
        client_cpu=last.client - first.client,
        machine_cpu=last.machine - first.machine,
        opening_seconds=opened.clock - before.clock,
        opening_cpu=opened.server - before.server,
        memory=memory - empty,
        kernel_memory=kernel - kernel_empty,
        latency=taken,
    )


def main() -> None:
    """Measure one window and print it."""
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    allow_open_files()
    try:
        window = uvloop.run(measure(plan))
    except* TimeoutError:
        raise SystemExit("the server did not answer in time") from None
    except* OSError as errors:
        raise SystemExit(f"the server failed a connection: {errors.exceptions[0]}") from None
    print(json.dumps(asdict(window)))


if __name__ == "__main__":
    main()
