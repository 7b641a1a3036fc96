"""Open many connections to a server on this machine and print what they deliver, as JSON.

Counted is a window that begins when all are open and settled. This is one process on one core:
where `client_core_share` comes near 1, the client was measured and not the server.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict, dataclass, replace

import uvloop

from benchmarks.process import allow_open_files, group_cpu_seconds
from benchmarks.streams import Opening, Tally, request_bytes
from benchmarks.workload import TRANSPORTS, Transport
from rtdemo.lab.bench.machine import busy_seconds

HOST = "127.0.0.1"  # loopback only: this client is for the server beside it
MAX_CONNECTIONS = 19_000
MAX_SECONDS = 300.0
OPENING_AT_ONCE = 120
"""Under the 128 that a listening socket of aiohttp lets wait."""
OPENING_SECONDS = 180.0
"""For all connections; a server that is saturated by the first takes long to answer the last."""
BOTTLENECK_SHARE = 0.85
NOISE_SHARE = 0.25


@dataclass(frozen=True)
class Result:
    """What one window showed; times in seconds, counts within the window."""

    transport: Transport
    connections: int
    window: float
    delivered: int
    shared: int
    received_bytes: int
    lost: int
    server_cpu: float
    client_cpu: float
    machine_cpu: float

    @property
    def client_core_share(self) -> float:
        """The part of one core that this client used, 0 to 1."""
        return self.client_cpu / self.window

    @property
    def other_core_share(self) -> float:
        """What everything but client and server used, in cores."""
        # /proc/stat counts whole ticks, so that an idle machine may come out a little below zero.
        return max(0.0, (self.machine_cpu - self.client_cpu - self.server_cpu) / self.window)


@dataclass(frozen=True)
class Reading:
    """The counters at one moment; times in seconds."""

    clock: float
    server_cpu: float
    client_cpu: float
    machine_cpu: float
    tally: Tally


def read(tally: Tally, group: int | None) -> Reading:
    """Read all counters now.

    Arguments:
        tally: what the connections count into.
        group: the process group of the server; None leaves its CPU time out.
    """
    server_cpu = group_cpu_seconds(group) if group is not None else 0.0
    return Reading(time.perf_counter(), server_cpu, time.process_time(), busy_seconds(), replace(tally))


def difference(transport: Transport, connections: int, first: Reading, last: Reading) -> Result:
    """Return what happened between two readings."""
    return Result(
        transport=transport,
        connections=connections,
        window=last.clock - first.clock,
        delivered=last.tally.delivered - first.tally.delivered,
        shared=last.tally.shared - first.tally.shared,
        received_bytes=last.tally.received_bytes - first.tally.received_bytes,
        lost=last.tally.lost,
        server_cpu=last.server_cpu - first.server_cpu,
        client_cpu=last.client_cpu - first.client_cpu,
        machine_cpu=last.machine_cpu - first.machine_cpu,
    )


async def open_all(tally: Tally, options: argparse.Namespace) -> list[asyncio.Transport]:
    """Open the connections, a bounded number at once, and return them."""
    loop = asyncio.get_running_loop()
    request = request_bytes(options.transport, options.port, options.path)
    gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def open_one() -> asyncio.Transport:
        async with gate:
            _, opening = await loop.create_connection(
                lambda: Opening(tally, options.transport, request), HOST, options.port
            )
            return await opening.opened

    async with asyncio.timeout(OPENING_SECONDS):
        return await asyncio.gather(*(open_one() for _ in range(options.connections)))


async def measure(options: argparse.Namespace) -> Result:
    """Open, settle, count for the window, close."""
    tally = Tally()
    transports = await open_all(tally, options)
    gc.collect()
    gc.disable()  # nothing cyclic is made from here on
    await asyncio.sleep(options.settle)
    first = read(tally, options.server_group)
    await asyncio.sleep(options.seconds)
    last = read(tally, options.server_group)
    for transport in transports:
        transport.abort()
    return difference(options.transport, options.connections, first, last)


def warnings(result: Result) -> list[str]:
    """Return what makes this result doubtful, one sentence each."""
    found = []
    if result.client_core_share > BOTTLENECK_SHARE:
        found.append(
            f"the load client used {result.client_core_share:.0%} of a core:"
            " it was the bottleneck; ask for less load"
        )
    if result.server_cpu and result.other_core_share > NOISE_SHARE:
        found.append(f"other processes used {result.other_core_share:.0%} of a core meanwhile")
    if result.lost:
        found.append(f"{result.lost} of {result.connections} connections were lost before the end")
    return found


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transport", choices=TRANSPORTS, required=True)
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    parser.add_argument("--path", required=True, help="with its query, such as '/?speed=10'")
    parser.add_argument(
        "--connections", type=int, choices=range(1, MAX_CONNECTIONS + 1), metavar="N", default=100
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, help=f"the window, up to {MAX_SECONDS:g} (default 10)"
    )
    parser.add_argument(
        "--settle",
        type=float,
        default=3.0,
        help="seconds between the last connection and the window (default 3)",
    )
    parser.add_argument(
        "--server-group",
        type=int,
        metavar="PGID",
        help="process group whose CPU time is read (default: none)",
    )
    options = parser.parse_args()
    if not (0 < options.seconds <= MAX_SECONDS and 0 <= options.settle <= MAX_SECONDS):
        parser.error(f"--seconds and --settle go up to {MAX_SECONDS:g}")
    return options


def main() -> None:
    """Measure one window and print it."""
    options = arguments()
    allow_open_files(options.connections + 64)
    try:
        result = uvloop.run(measure(options))
    except TimeoutError:
        raise SystemExit(f"the connections did not all open within {OPENING_SECONDS:g} s") from None
    except OSError as error:
        raise SystemExit(f"the connections did not open: {error}") from None
    for warning in warnings(result):
        print(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(asdict(result) | {"client_core_share": round(result.client_core_share, 3)}))


if __name__ == "__main__":
    main()
