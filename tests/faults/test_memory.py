"""Memory that clients can make the server keep."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.process import Process
from tests.faults.test_open_files import Serve, serve
from tests.raw_client import TEXT, frame

__all__ = ["serve"]

pytestmark = pytest.mark.alone

CLIENTS = 60
MAX_KIB_PER_CLIENT = 0.35 * 1024
QUIET_ROUNDS = 30
"""Rounds of 10 ms in which the server reads nothing more, until its memory is read."""
HANDSHAKE = (
    b"GET /ws?producers=echo HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def resident_kib(server: Process) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1])


@pytest.mark.parametrize("size", [10, 60_000])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_clients_that_never_read_their_echoes(serve: Serve, loop: str, size: int) -> None:
    """They send as many texts as the server reads, and take under 0.35 MiB each."""
    server = await serve(loop, "2000,2000")
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(CLIENTS)]
        before = resident_kib(server)
        highest = await fill(server, clients, size)
    assert (highest - before) / CLIENTS < MAX_KIB_PER_CLIENT


async def fill(server: Process, clients: Sequence[socket.socket], size: int) -> int:
    """Send texts on all until the server reads no more; return its highest memory in KiB."""
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.send(HANDSHAKE)
        assert client.recv(20).startswith(b"HTTP/1.1 101 ")
        client.setblocking(False)
    text = frame(TEXT, b"x" * size)
    text *= max(1, 60_000 // len(text))
    rest = dict.fromkeys(clients, text)
    has_ended: set[socket.socket] = set()
    quiet = highest = 0
    while quiet < QUIET_ROUNDS:
        quiet += 1
        for client in rest.keys() - has_ended:
            try:
                sent = client.send(rest[client])
            except BlockingIOError:
                continue
            except ConnectionResetError:
                # On a slow machine: a client that reads nothing for a while is ended.
                has_ended.add(client)
                continue
            rest[client] = rest[client][sent:] or text
            quiet = 0
        highest = max(highest, resident_kib(server))
        await asyncio.sleep(0.01)
    return highest
