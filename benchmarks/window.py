"""One window: what the load client is asked to do, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from benchmarks.streams import Framing
from benchmarks.workloads import Kind


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        kind: what happens in the window.
        framing: of the server's messages.
        port: TCP port on loopback.
        publish_port: the one that POST /api/publish goes to.
        path: of a connection, with its query.
        connections: open at once.
        seconds: length of the window.
        settle: seconds between the last connection and the window.
        group: process group of the server.
    """

    kind: Kind
    framing: Framing
    port: int
    publish_port: int
    path: str
    connections: int
    seconds: float
    settle: float
    group: int


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds, and how many latencies were taken; None without any."""

    p50: float | None
    p99: float | None
    max: float | None
    taken: int


@dataclass(frozen=True)
class Window:
    """What one window showed; times in seconds, memory in KiB.

    Attributes:
        count: messages delivered, echoes, or in a storm connections that came and left.
        lost: connections that ended before the window did.
        server_cpu, client_cpu, machine_cpu: CPU time within the window.
        opening_seconds: from the first connection's start until the last is open.
        opening_cpu: CPU time of the server meanwhile.
        memory: of the server with its connections, less that without.
        kernel_memory: of the kernel's own objects (Slab), likewise; both ends of each connection.
    """

    seconds: float
    count: int
    received_bytes: int
    lost: int
    server_cpu: float
    client_cpu: float
    machine_cpu: float
    opening_seconds: float
    opening_cpu: float
    memory: int
    kernel_memory: int
    latency: Latency


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the least value that at least a share of the values does not exceed.

    Arguments:
        ordered: values from the least to the greatest, at least one.
        percent: the share, over 0 and up to 100.
    """
    return ordered[ceil(len(ordered) * percent / 100) - 1]


def latency(taken: Sequence[float]) -> Latency:
    """Return the percentiles of latencies in milliseconds."""
    ordered = sorted(taken)
    if not ordered:
        return Latency(None, None, None, 0)
    return Latency(percentile(ordered, 50), percentile(ordered, 99), ordered[-1], len(ordered))
