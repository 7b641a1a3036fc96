"""Forward TCP connections, each byte later by a fixed time: a difference that is known.

A process of its own, with a loop of its own: the timers of asyncio and uvloop have whole milliseconds.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

READ_BYTES = 65_536
NOTHING_S = 1.0
"""Seconds to wait at most while nothing is on its way."""


@contextmanager
def relay(upstream: int, delay_s: float) -> Iterator[int]:
    """Run a relay while the block runs; yield its port of loopback.

    Arguments:
        upstream: port of the server.
        delay_s: of each byte that the server sends, in seconds.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        process = multiprocessing.get_context("fork").Process(
            target=_forward, args=(listening, upstream, delay_s), daemon=True
        )
        process.start()
        try:
            yield listening.getsockname()[1]
        finally:
            process.terminate()
            process.join()


class _Relay:
    """Connections of a relay, and the bytes that are on their way."""

    def __init__(self, upstream: int, delay_s: float) -> None:
        self.other: dict[socket.socket, socket.socket] = {}
        self.waiting: deque[tuple[float, socket.socket, bytes]] = deque()
        self._upstream, self._delay_s = upstream, delay_s
        self._servers: set[socket.socket] = set()

    def accept(self, client: socket.socket) -> None:
        """Connect a client to the server."""
        server = socket.create_connection(("127.0.0.1", self._upstream))
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.other[client], self.other[server] = server, client
        self._servers.add(server)

    def read(self, sock: socket.socket) -> None:
        """Take what a side has sent, or its end."""
        try:
            data = sock.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            for one in (self.other.pop(self.other[sock]), self.other.pop(sock)):
                self._servers.discard(one)
                one.close()
        elif sock in self._servers:
            self.waiting.append((time.monotonic() + self._delay_s, self.other[sock], data))
        else:
            self.other[sock].sendall(data)

    def send_due(self) -> None:
        """Send what has waited for its time."""
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, sock, data = self.waiting.popleft()
            with suppress(OSError):
                sock.sendall(data)


def _forward(listening: socket.socket, upstream: int, delay_s: float) -> None:
    """Accept and forward connections for ever."""
    made = _Relay(upstream, delay_s)
    while True:
        # select() takes microseconds, where the others have whole milliseconds.
        left_s = made.waiting[0][0] - time.monotonic() if made.waiting else NOTHING_S
        readable, _, _ = select.select([listening, *made.other], [], [], max(0.0, left_s))
        for sock in readable:
            if sock is listening:
                made.accept(listening.accept()[0])
            elif sock in made.other:  # its other side may have ended
                made.read(sock)
        made.send_due()
