"""Ports for programs that cannot listen on port 0, or that start again on the same one."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from pathlib import Path

PORTS = range(20_000, 32_768)
"""Below the ports that the kernel gives to outgoing connections and to servers on port 0."""
GIVEN = Path(tempfile.gettempdir()) / f"rtdemo-tests-ports-{os.getuid()}"
"""A file with a byte for each port that was given, shared by all test processes of a user."""


def free_port() -> int:
    """Return a free port of loopback, which no other test gets before all other ports were given.

    A port that is only free may be taken before the program listens. Nobody would notice: HAProxy and
    Caddy share a port with each other, and each gets half of the connections (SO_REUSEPORT).
    """
    while True:
        with GIVEN.open("ab") as given:
            given.write(b".")
            given.flush()
            # The end of what this process appended, whatever others append meanwhile.
            number = given.tell()
        port = PORTS[number % len(PORTS)]
        with socket.socket() as probe:
            # As servers do: a port whose last connections wait for their end is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


async def is_listening(port: int) -> bool:
    """Return whether a program accepts connections at a port of loopback."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
