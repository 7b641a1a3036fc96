"""Start a server in its own process group, wait until it answers, and end it whatever happens."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, get_args

from benchmarks.workload import Transport

ServerName = Literal["plain", "rtdemo"]
SERVERS: tuple[ServerName, ...] = get_args(ServerName)

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Running:
    """A server that answers: its process group and TCP ports."""

    name: ServerName
    group: int
    ports: dict[Transport, int]

    def target(self, transport: Transport, speed: float) -> tuple[int, str]:
        """Return the port and path, with its query, of a transport.

        Arguments:
            transport: which of the two.
            speed: multiplies the rates.
        """
        path = "/" if transport == "websocket" else "/api/sse"
        return self.ports[transport], f"{path}?speed={speed:g}"


def free_ports(number: int) -> list[int]:
    """Return so many different TCP ports that are free on loopback now."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(number)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def command(name: ServerName, web: int, websocket: int) -> list[str]:
    """Return the command line of a server.

    Arguments:
        name: which server.
        web: TCP port of page and SSE; the plain server has WebSocket there too.
        websocket: TCP port of WebSocket.
    """
    if name == "plain":
        return [sys.executable, "-m", "benchmarks.plain_server", "--port", str(web)]
    hosts = ["--host", HOST, "--websocket-host", HOST]
    ports = ["--port", str(web), "--websocket-port", str(websocket)]
    return [sys.executable, "-m", "rtdemo", *hosts, *ports, "--log-level", "warning"]


@contextmanager
def running(name: ServerName) -> Iterator[Running]:
    """Run a server within the block; RuntimeError with its last words where it does not come up."""
    web, websocket = free_ports(2)
    ports: dict[Transport, int] = {"sse": web, "websocket": web if name == "plain" else websocket}
    with tempfile.TemporaryFile("w+") as log:
        # Its own group: workers that it starts are measured and ended with it.
        server = subprocess.Popen(
            command(name, web, websocket), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            for port in sorted(set(ports.values())):
                wait_for_answer(server, name, port, log)
            yield Running(name, server.pid, ports)
        finally:
            stop(server)


def wait_for_answer(server: subprocess.Popen[bytes], name: ServerName, port: int, log: IO[str]) -> None:
    """Wait until any HTTP answer comes from a port."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("GET", "/")
            connection.getresponse()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(POLL_SECONDS)
        finally:
            connection.close()
    log.seek(0)
    raise RuntimeError(
        f"{name} did not answer on port {port}; its last words: {log.read()[-2000:].strip() or '(none)'}"
    )


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ask a server to end, and kill its group where it has not ended in time."""
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
