"""Each port is given once, also to processes that ask at the same time."""

from __future__ import annotations

import subprocess
import sys

from tests.free_port import PORTS, free_port

PROCESSES, EACH = 4, 40


def test_no_port_is_given_twice() -> None:
    """Two programs on one port share its connections, and neither says so."""
    program = f"from tests.free_port import free_port\nfor _ in range({EACH}): print(free_port())"
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    ports = [free_port() for _ in range(EACH)]
    for process in running:
        out, _ = process.communicate(timeout=60)
        ports += map(int, out.split())
    assert len(ports) == EACH * (PROCESSES + 1)
    assert len(set(ports)) == len(ports)
    assert set(ports) <= set(PORTS)
