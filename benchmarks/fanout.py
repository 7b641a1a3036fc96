"""Measure what one message to everyone costs, and when the last one has it: rtdemo beside `ws` on Node.

Each round starts every server anew, opens the connections and publishes message after message, the
next once the last client has the one before. The servers take turns; the table shows medians.
Needs `npm install` in benchmarks/node and redis-server in the path.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvloop

from benchmarks.process import allow_open_files, group_cpu_seconds
from benchmarks.servers import HOST, ROOT, free_ports, wait_for_answer
from benchmarks.streams import Opening, Tally, request_bytes
from benchmarks.workload import Transport
from rtdemo.lab.bench.machine import busy_seconds

SERVERS = ("node ws", "rtdemo", "rtdemo, redis", "rtdemo, sse")
PRODUCER = "bench"
OPENING_AT_ONCE = 100
PATIENCE = 30.0
"""Seconds for the last client to have a message."""


@dataclass
class Window:
    """What one server showed.

    Attributes:
        cpu: microseconds of the server, with Redis where it is used, for each delivery.
        last: seconds from each publication to its last delivery.
        client, others: CPU time in percent of one core.
    """

    server: str
    cpu: float = 0.0
    last: list[float] = field(default_factory=list)
    client: float = 0.0
    others: float = 0.0

    def percentile(self, percent: float) -> float:
        """Return a percentile of the times, in milliseconds."""
        ordered = sorted(self.last)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


@contextlib.contextmanager
def process(name: str, command: list[str], port: int | None) -> Iterator[int]:
    """Run a program in a group of its own for the block and give the group."""
    with tempfile.TemporaryFile("w+") as log:
        running = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            if port is not None:
                wait_for_answer(running, "rtdemo" if name != "node" else "plain", port, log)
            yield running.pid
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait()


@contextlib.contextmanager
def started(server: str) -> Iterator[tuple[list[int], int, str]]:
    """Run a server for the block; give the process groups that it uses, its port and its path."""
    port, redis = free_ports(2)
    arguments = ["--host", HOST, "--port", str(port), "--single-site", "--log-level", "warning"]
    # As on the other side: nothing but the published messages, and no pings.
    arguments += ["--without", "message,status,broadcast", "--heartbeat", "600"]
    rtdemo = [sys.executable, "-m", "rtdemo", *arguments]
    with contextlib.ExitStack() as stack:
        groups = []
        if server == "node ws":
            node = ["node", str(Path("benchmarks/node/fanout.js")), str(port)]
            groups.append(stack.enter_context(process("node", node, port)))
            yield groups, port, "/"
            return
        if server == "rtdemo, redis":
            binary = shutil.which("redis-server") or sys.exit("redis-server is missing")
            command = [binary, "--port", str(redis), "--bind", HOST, "--save", ""]
            groups.append(stack.enter_context(process("redis", command, None)))
            time.sleep(0.5)
            rtdemo += ["--engine", f"redis://{HOST}:{redis}"]
        groups.append(stack.enter_context(process("rtdemo", rtdemo, port)))
        path = "/api/sse" if server == "rtdemo, sse" else "/ws"
        yield groups, port, path


class Arrivals(Tally):
    """Note when the number of deliveries reaches what is awaited."""

    def __init__(self) -> None:
        self._shared = 0
        self.awaited = -1
        self.reached: Callable[[], object] = lambda: None
        super().__init__()

    @property
    def shared(self) -> int:
        """Messages with a position."""
        return self._shared

    @shared.setter
    def shared(self, number: int) -> None:
        self._shared = number
        if number == self.awaited:
            self.reached()


async def connect(tally: Tally, kind: Transport, port: int, path: str, number: int) -> None:
    """Open the connections, a bounded number at once."""
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(OPENING_AT_ONCE)
    request = request_bytes(kind, port, path)

    async def one() -> None:
        async with gate:
            _, opening = await loop.create_connection(partial(Opening, tally, kind, request), HOST, port)
            await opening.opened

    await asyncio.gather(*(one() for _ in range(number)))


async def publish(port: int, text: str) -> None:
    """Post one message, on a connection of its own."""
    body = json.dumps({"message": text, "producer": PRODUCER})

    def post() -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        connection.request("POST", "/api/publish", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"publishing failed: {answer.status} {answer.read()[:200]!r}")
        connection.close()

    await asyncio.to_thread(post)


async def measure(server: str, options: argparse.Namespace) -> Window:
    """Start a server, connect, publish, and say what it took."""
    window, loop = Window(server), asyncio.get_running_loop()
    with started(server) as (groups, port, path):
        tally = Arrivals()
        transport: Transport = "sse" if server == "rtdemo, sse" else "websocket"
        await connect(tally, transport, port, path, options.connections)
        await asyncio.sleep(2)
        cpu, client, machine, began = 0.0, time.process_time(), busy_seconds(), time.monotonic()
        before = sum(map(group_cpu_seconds, groups))
        for number in range(options.messages):
            everyone = loop.create_future()
            tally.awaited = tally.shared + options.connections
            tally.reached = partial(_note, everyone)
            at = time.perf_counter()
            await publish(port, f"message {number}")
            async with asyncio.timeout(PATIENCE):
                window.last.append(await everyone - at)
        cpu = sum(map(group_cpu_seconds, groups)) - before
        seconds = time.monotonic() - began
        client = time.process_time() - client
        machine = busy_seconds() - machine
    window.cpu = cpu * 1e6 / (options.messages * options.connections)
    window.client = client / seconds * 100
    window.others = max(0.0, machine - client - cpu) / seconds * 100
    return window


def _note(future: asyncio.Future[float]) -> None:
    if not future.done():
        future.set_result(time.perf_counter())


def table(windows: list[Window]) -> str:
    """Return a line a server: medians over its rounds, and beside Node's."""
    lines = [
        "server           CPU µs  beside   last delivery ms      client  others",
        "             a delivery    node      p50      p99      % core  % core",
    ]
    medians = {}
    for server in dict.fromkeys(window.server for window in windows):
        own = [window for window in windows if window.server == server]
        cpu = medians[server] = statistics.median(window.cpu for window in own)
        beside = f"{cpu / medians['node ws']:.2f}" if "node ws" in medians else "-"
        p50, p99, client, others = (
            statistics.median(values)
            for values in (
                [window.percentile(50) for window in own],
                [window.percentile(99) for window in own],
                [window.client for window in own],
                [window.others for window in own],
            )
        )
        times = f"{p50:7.1f}  {p99:7.1f}  {client:10.0f}  {others:6.0f}"
        lines.append(f"{server:<14}  {cpu:7.2f}  {beside:>6}  {times}")
    return "\n".join(lines)


def main() -> None:
    """Measure all servers in turns and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=5000, choices=range(1, 15_001), metavar="N")
    parser.add_argument("--messages", type=int, default=100, choices=range(1, 10_001), metavar="N")
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 51), metavar="N")
    parser.add_argument("--server", action="append", choices=SERVERS, help="default: all")
    options = parser.parse_args()
    allow_open_files(options.connections + 256)
    windows: list[Window] = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        windows += [uvloop.run(measure(server, options)) for server in options.server or SERVERS]
    print(table(windows))


if __name__ == "__main__":
    main()
