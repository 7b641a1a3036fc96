"""Every server that can be measured, and how it is started and ended."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from benchmarks.streams import Framing
from benchmarks.workloads import PRODUCER, TRANSPORTS, Kind, Transport, Workload

ROOT = Path(__file__).resolve().parents[1]
NODE = ROOT / "benchmarks" / "node"
PEERS = ROOT / "benchmarks" / "peers"
PEERS_VENV = ROOT / "benchmarks" / ".venv"
"""Where the peers in Python are installed, but for aiohttp, which rtdemo has too."""
HOST = "127.0.0.1"
START_TIMEOUT, STOP_TIMEOUT, POLL = 20.0, 2.0, 0.05
RTDEMO = "rtdemo"
ENVIRONMENT = os.environ | {"RTDEMO_TEXTS_PER_CONNECTION": "1000000"}
"""Variables of each server. With rtdemo's default limit, the echo would end its connections."""
PATHS: dict[Transport, str] = {"websocket": "/ws", "sse": "/api/sse"}
"""Where every server has its streams."""


@dataclass(frozen=True)
class Need:
    """Something that must be installed.

    Arguments:
        kind: a program on the PATH, a package in benchmarks/node, or a module in benchmarks/.venv.
        name: of it.
    """

    kind: Literal["program", "node", "python"]
    name: str

    @property
    def is_met(self) -> bool:
        """Whether it is installed."""
        if self.kind == "program":
            return shutil.which(self.name) is not None
        if self.kind == "node":
            return (NODE / "node_modules" / self.name).is_dir()
        return any(PEERS_VENV.glob(f"lib/python*/site-packages/{self.name}"))

    def __str__(self) -> str:
        if self.kind == "program":
            return f"{self.name} is not on the PATH"
        if self.kind == "node":
            return f"{self.name} is not installed: npm install --prefix benchmarks/node"
        return f"{self.name} is not installed in benchmarks/.venv: see benchmarks/README.md"


@dataclass(frozen=True)
class Server:
    """A server that can be measured.

    Arguments:
        name: on the command line and in tables.
        transports: that it serves.
        command: that starts it. To be filled in are `{port}`, `{scratch}`, a folder of this run, and
            where messages are not published on the same port, `{publish_port}`.
        needs: what must be installed.
        build: command that is run before the first start.
        framing: of its WebSocket messages, where they are wrapped once more.
        query: that its clients send besides.
        only: the kind of workload that it is for; None for all.
        redis: whether its messages go through Redis.
        root: the folder that it starts in.
    """

    name: str
    transports: tuple[Transport, ...]
    command: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    build: tuple[str, ...] = ()
    framing: Framing = "websocket"
    query: str = ""
    only: Kind | None = None
    redis: bool = False
    root: Path = ROOT

    @property
    def is_rtdemo(self) -> bool:
        """Whether it is a version of rtdemo, for which the goals hold."""
        return self.name.startswith(RTDEMO)

    def missing(self) -> list[str]:
        """Return what is not installed, a sentence each."""
        return [str(need) for need in self.needs if not need.is_met]

    def runs(self, workload: Workload, transport: Transport) -> bool:
        """Return whether it can be measured with a workload over a transport."""
        if transport not in self.transports or transport not in workload.transports:
            return False
        if self.only not in (None, workload.kind):
            return False
        return self.is_rtdemo and not self.redis if workload.plugins else True


def rtdemo(root: Path = ROOT, *, redis: bool = False) -> Server:
    """Return rtdemo as a user starts it, but without the broadcast, which no other server has.

    Arguments:
        root: folder of the version to measure.
        redis: whether its messages go through Redis.
    """
    own = root / ".venv" / "bin" / "python"
    python = sys.executable if root == ROOT or not own.exists() else str(own)
    command = [python, "-m", "rtdemo", "--host", HOST, "--port", "{port}", "--single-site"]
    command += ["--without", "broadcast", "--publish-names", PRODUCER]
    return Server(
        RTDEMO + ("-redis" if redis else "" if root == ROOT else f" at {root.name}"),
        TRANSPORTS,
        (*command, "--engine", "redis://" + HOST + ":{redis}") if redis else tuple(command),
        needs=(Need("program", "redis-server"),) if redis else (),
        only="fanout" if redis else None,
        redis=redis,
        root=root,
    )


def python_peer(
    name: str, transports: tuple[Transport, ...], *modules: str, other_port: bool = False
) -> Server:
    """Return a server in Python from benchmarks/.venv.

    Arguments:
        name: of it, and of its module up to `_server`.
        transports: that it serves.
        modules: that must be installed.
        other_port: whether messages are published on another port.
    """
    command = [str(PEERS_VENV / "bin" / "python"), "-m", f"benchmarks.peers.{name}_server", "{port}"]
    needs = tuple(Need("python", module) for module in modules)
    return Server(
        name, transports, (*command, "{publish_port}") if other_port else tuple(command), needs
    )


SERVERS: tuple[Server, ...] = (
    rtdemo(),
    rtdemo(redis=True),
    Server(
        "ws",
        ("websocket",),
        ("node", str(NODE / "ws.js"), "{port}"),
        (Need("program", "node"), Need("node", "ws")),
    ),
    Server(
        "node-http", ("sse",), ("node", str(NODE / "http_sse.js"), "{port}"), (Need("program", "node"),)
    ),
    Server(
        "c-floor",
        TRANSPORTS,
        ("{scratch}/floor", "{port}"),
        (Need("program", "cc"),),
        build=("cc", "-O2", "-o", "{scratch}/floor", str(PEERS / "floor.c")),
    ),
    Server(
        "bun",
        ("websocket",),
        (str(NODE / "node_modules" / ".bin" / "bun"), str(NODE / "bun.js"), "{port}"),
        (Need("node", "bun"),),
    ),
    Server(
        "socket.io",
        ("websocket",),
        ("node", str(NODE / "socket_io.js"), "{port}"),
        (Need("program", "node"), Need("node", "socket.io")),
        framing="socket.io",
        query="&EIO=4&transport=websocket",
    ),
    python_peer("websockets", ("websocket",), "websockets", "uvloop", other_port=True),
    python_peer("picows", ("websocket",), "picows", "uvloop", other_port=True),
    python_peer("starlette", TRANSPORTS, "starlette", "sse_starlette", "uvicorn"),
    Server("aiohttp", TRANSPORTS, (sys.executable, "-m", "benchmarks.peers.aiohttp_server", "{port}")),
)


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        port: TCP port on loopback.
        publish_port: the one that answers POST /api/publish.
        group: its process group.
    """

    port: int
    publish_port: int
    group: int


@contextlib.contextmanager
def held_ports(number: int) -> Iterator[list[int]]:
    """Hold so many different TCP ports of loopback for servers that are started within the block.

    The kernel may give a free port to any program that asks for port 0, before the server listens. It
    gives away no port that is bound. A server that names the port can listen on it all the same, because
    its socket and the one here both allow that (SO_REUSEADDR, socket(7)), and nobody listens yet.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for holding in sockets:
            holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holding.bind((HOST, 0))
        yield [holding.getsockname()[1] for holding in sockets]


def build(server: Server, scratch: Path) -> None:
    """Build a server where that has to be done; CalledProcessError where it fails."""
    if server.build:
        subprocess.run([part.format(scratch=scratch) for part in server.build], check=True)


@contextlib.contextmanager
def running(server: Server, scratch: Path, plugins: Sequence[str] = ()) -> Iterator[Running]:
    """Run a server within the block, with its log in a file.

    Arguments:
        server: to start.
        scratch: folder of this run, in which it was built.
        plugins: files that rtdemo loads besides.

    Raises:
        RuntimeError: with the end of its log, if it does not come up.
    """
    with contextlib.ExitStack() as stack:
        port, redis, publish_port = stack.enter_context(held_ports(3))
        found = {"port": port, "redis": redis, "publish_port": publish_port, "scratch": scratch}
        command = [part.format(**found) for part in server.command]
        command += [str(ROOT / plugin) for plugin in plugins]
        group = 0  # of the first process itself
        if server.redis:
            store = ["redis-server", "--port", str(redis), "--bind", HOST, "--save", ""]
            group = stack.enter_context(process("redis", store, scratch, redis, group))
        leader = stack.enter_context(process(server.name, command, server.root, port, group))
        has_other = "{publish_port}" in server.command
        yield Running(port, publish_port if has_other else port, group or leader)


@contextlib.contextmanager
def process(name: str, command: list[str], folder: Path, port: int, group: int) -> Iterator[int]:
    """Run a program within the block and give its pid, once its port answers.

    Arguments:
        name: for the error.
        command: with its arguments.
        folder: that it starts in.
        port: TCP port on loopback that it opens.
        group: process group that it joins; 0 for its own, which its children belong to.
    """
    with tempfile.TemporaryFile("w+") as log:
        started = subprocess.Popen(
            command, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log, process_group=group
        )
        try:
            wait_for_port(name, started, port, log)
            yield started.pid
        finally:
            stop(started, group)


def wait_for_port(name: str, started: subprocess.Popen[bytes], port: int, log: IO[str]) -> None:
    """Wait until a port accepts a connection; RuntimeError if it does not in time."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and started.poll() is None:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(POLL)
    log.seek(0)
    raise RuntimeError(
        f"{name} did not open its port; its log ends: {log.read()[-2000:].strip() or '-'}"
    )


def stop(started: subprocess.Popen[bytes], group: int) -> None:
    """End a process, and with it the group that it leads."""
    started.terminate()
    try:
        started.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
    if group == 0:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)  # workers that outlived it
