"""Publish many values a second into a real server that is killed meanwhile, and add up what arrived.

    python -m tests.publisher.load --rate 20000 --seconds 30 --away 10

One process publishes, as a user's program does; the server keeps its log in Redis, and curl follows it.
Each value is its own number, so that the log shows which ones came, and whether one came twice.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

import rtdemo
from tests.cluster.process import Process
from tests.cluster.process import rtdemo as new_server
from tests.redis_server import RedisServer

PRODUCER = "load"
STEP_S = 0.001
"""Seconds between two steps of the publishing loop, each with its share of the calls."""
FLUSH_S = 60.0
"""Seconds for which the end waits for what is not sent yet."""
HISTORY_COUNT = 50_000
"""Messages that the log keeps: curl is never so far behind."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Publishing:
    """What the process that publishes has measured.

    Attributes:
        published: calls of `publish`.
        seconds: that they took, without the flush.
        accepted, dropped, refused, waiting, nulls: as `rtdemo.flush` counts them.
        call_us: microseconds of a call: percentiles, and the longest. The first call after each pause of
            the loop takes longest: it waits for its memory.
        cpu: seconds of CPU time of the process, without its start.
        memory_kib: its largest resident memory.
    """

    published: int
    seconds: float
    accepted: int
    dropped: int
    refused: int
    waiting: int
    nulls: int
    call_us: dict[str, float]
    cpu: float
    memory_kib: int


@dataclass(frozen=True)
class Arrivals:
    """What curl has received of the log.

    Attributes:
        received: messages.
        repeated: values that came a second time.
        unordered: values that came after a larger one.
        gaps: offsets of the log that were left out.
        silence_s: longest time between two messages.
        missing: values that did not come: before the largest gap, in it, and after it. The largest gap
            is that of the server's absence.
    """

    received: int
    repeated: int
    unordered: int
    gaps: int
    silence_s: float
    missing: tuple[int, int, int]


def publish_values(rate: float, seconds: float, names: int) -> Publishing:
    """Publish numbers from 0, in equal steps; then wait until they are sent.

    Arguments:
        rate: calls a second.
        seconds: for which to publish.
        names: number of names, which take turns.
    """
    total, number, times = round(rate * seconds), 0, []
    producers = itertools.cycle([PRODUCER] if names == 1 else [f"{PRODUCER}{n}" for n in range(names)])
    cpu, began = time.process_time(), time.monotonic()
    while number < total:
        due = min(total, int((time.monotonic() - began) * rate) + 1)
        for value in range(number, due):
            name, called = next(producers), time.perf_counter_ns()
            rtdemo.publish(name, value)
            times.append(time.perf_counter_ns() - called)
        number = due
        time.sleep(STEP_S)
    took = time.monotonic() - began
    counts = rtdemo.flush(FLUSH_S)
    return Publishing(
        published=number,
        seconds=took,
        **asdict(counts),
        call_us=percentiles(times),
        cpu=time.process_time() - cpu,
        memory_kib=memory_kib(os.getpid()),
    )


def percentiles(times: list[int]) -> dict[str, float]:
    """Return percentiles of nanoseconds in microseconds."""
    ordered = sorted(times)
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[int(last * share)] / 1000, 1) for name, share in shares.items()}


def memory_kib(pid: int) -> int:
    """Return the largest resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Follower:
    """Follow the log with curl, which writes the event stream into a file; resume when it ends.

    Arguments:
        server: the server.
        folder: for the files, one for each connection.
    """

    def __init__(self, server: Process, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self.files: list[Path] = []

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            path = self._folder / f"events-{len(self.files)}"
            query = f"producers={PRODUCER}&last_event_id={self.position or ''}".removesuffix(
                "&last_event_id="
            )
            path.touch()
            self.files.append(path)
            url = f"{self._server.url}/api/sse?{query}"
            curl = await asyncio.create_subprocess_exec("curl", "-sN", "-o", str(path), url)
            try:
                await curl.wait()
            finally:
                if curl.returncode is None:
                    curl.kill()
                    await curl.wait()
            await asyncio.sleep(0.2)

    @property
    def position(self) -> str:
        """The id of the last whole event; empty before the first."""
        for path in reversed(self.files):
            if found := last_id(path):
                return found
        return ""


def last_id(path: Path) -> str:
    """Return the id of the last whole event in a file; empty if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        events = file.read().split(b"\n\n")[:-1]
    ids = [
        line[4:].decode() for event in events for line in event.split(b"\n") if line.startswith(b"id: ")
    ]
    return ids[-1] if ids else ""


def messages(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield the messages of whole events."""
    for path in files:
        for event in path.read_bytes().split(b"\n\n")[:-1]:
            for line in event.split(b"\n"):
                if line.startswith(b"data: "):
                    message = json.loads(line[6:])
                    if message["producer"] == PRODUCER:
                        yield message


def arrivals(files: list[Path]) -> Arrivals:
    """Return what arrived."""
    seen: set[int] = set()
    largest, offset, at = -1, 0, 0.0
    silence = 0.0
    skipped: list[int] = [0]
    received = repeated = unordered = gaps = 0
    for message in messages(files):
        value, place = message["value"], int(message["id"].rpartition("-")[2])
        received += 1
        repeated += value in seen
        unordered += value < largest
        gaps += abs(place - offset - 1)
        seen.add(value)
        silence = max(silence, message["sentAt"] - at if at else 0.0)
        skipped.append(max(0, value - largest - 1))
        largest, offset, at = max(largest, value), place, message["sentAt"]
    most = skipped.index(max(skipped))
    missing = (sum(skipped[:most]), skipped[most], sum(skipped[most + 1 :]))
    return Arrivals(received, repeated, unordered, gaps, round(silence / 1000, 2), missing)


async def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Publish, kill the server meanwhile, and return every figure."""
    async with deployment(folder, options.engine) as (server, redis):
        cpu = Cpu(server, redis)
        follower = Follower(server, folder)
        following = asyncio.ensure_future(follower.run()) if options.names == 1 else None
        publishing = asyncio.ensure_future(run_publisher(server.url, options))
        if options.away:
            await asyncio.sleep(options.seconds / 3)
            cpu.stop()
            await server.kill()
            await asyncio.sleep(options.away)
            await server.start()
            cpu.start()
        publisher = await publishing
        cpu.stop()
        end = await end_of_log(server)
        if following is not None:
            async with asyncio.timeout(FLUSH_S):
                while follower.position != end and following:
                    await asyncio.sleep(0.1)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        assert server.process is not None
        return {
            "publisher": publisher,
            "log": {"messages": int(end.rpartition("-")[2])},
            "arrived": asdict(arrivals(follower.files)) if following is not None else None,
            "cpu": cpu.seconds,
            "server_memory_kib": memory_kib(server.process.pid),
        }


@asynccontextmanager
async def deployment(folder: Path, engine: str) -> AsyncIterator[tuple[Process, RedisServer | None]]:
    """Run a server, with Redis or without, while the block runs."""
    (folder / "redis").mkdir()
    # Redis is not killed, so it writes nothing to the disk.
    redis = RedisServer(folder / "redis", "--appendonly", "no") if engine == "redis" else None
    arguments = [
        "--without",
        "broadcast",
        "--publish-names",
        PRODUCER,
        "--history-count",
        str(HISTORY_COUNT),
    ]
    arguments += ["--history-bytes", str(2**30), *(["--engine", redis.url] if redis else [])]
    server = new_server(folder, "server", *arguments)
    try:
        if redis is not None:
            await redis.start()
        await server.start()
        yield server, redis
    finally:
        await server.kill()
        if redis is not None:
            await redis.stop()


async def run_publisher(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Publish from a process of its own; return what it has measured."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.publisher.load", "--publish-to", url),
        *("--rate", str(options.rate), "--seconds", str(options.seconds), "--names", str(options.names)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "RTDEMO_URL": url},
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return dict(json.loads(output))


async def end_of_log(server: Process) -> str:
    """Return the position of the newest message, from the welcome of a new client."""
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/api/sse") as answer:
        async for line in answer.content:
            if line.startswith(b"id: "):
                return line[4:].decode().strip()
    raise AssertionError("the stream has no id")


class Cpu:
    """Add up the CPU time of the server, also over a restart, and of Redis.

    Attributes:
        seconds: by program, until the last `stop`.
    """

    def __init__(self, server: Process, redis: RedisServer | None) -> None:
        self._processes: dict[str, Process | RedisServer] = {"server": server}
        if redis is not None:
            self._processes["redis"] = redis
        self._before: dict[str, float] = {}
        self.seconds = dict.fromkeys(self._processes, 0.0)
        self.start()

    def start(self) -> None:
        """Begin to count."""
        self._before = self._now()

    def stop(self) -> None:
        """Add what was used since `start`."""
        for name, seconds in self._now().items():
            self.seconds[name] = round(self.seconds[name] + seconds - self._before[name], 2)

    def _now(self) -> dict[str, float]:
        return {name: cpu_s(each.process.pid) for name, each in self._processes.items() if each.process}


def problems(found: dict[str, Any]) -> list[str]:
    """Return what does not add up."""
    publisher, log, arrived = found["publisher"], found["log"], found["arrived"]
    settled = sum(publisher[name] for name in ("accepted", "dropped", "refused", "waiting"))
    wrong = []
    if settled != publisher["published"]:
        wrong.append(f"{publisher['published']} published, but {settled} counted")
    if log["messages"] != publisher["accepted"]:
        wrong.append(f"{publisher['accepted']} accepted, but the log has had {log['messages']}")
    if arrived is not None and arrived["received"] != log["messages"]:
        wrong.append(f"the log has had {log['messages']}, but {arrived['received']} arrived")
    wrong += [
        f"{arrived[name]} {name}"
        for name in ("repeated", "unordered", "gaps")
        if arrived and arrived[name]
    ]
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=float, default=20_000.0, help="values a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--away", type=float, default=10.0, help="seconds for which the server is dead")
    parser.add_argument("--names", type=int, default=1, help="names to publish under, in turn")
    parser.add_argument("--engine", choices=["redis", "memory"], default="redis")
    parser.add_argument("--publish-to", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish_to:
        print(json.dumps(asdict(publish_values(options.rate, options.seconds, options.names))))
        return
    if options.away and options.engine == "memory":
        parser.error("without Redis the log dies with the server: give --away 0")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), options))
    print(json.dumps(found, indent=2))
    if wrong := problems(found):
        sys.exit("; ".join(wrong))
    print("everything adds up")


if __name__ == "__main__":
    main()
