"""What is asked of every server, and the goals that rtdemo has to reach."""

from dataclasses import dataclass
from typing import Literal, get_args

Transport = Literal["websocket", "sse"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
LABELS: dict[Transport, str] = {"websocket": "WebSocket", "sse": "SSE"}

Kind = Literal["private", "fanout", "idle", "storm", "echo"]
"""What happens within a window: private messages, published ones, nothing, connects, or echoes."""

MESSAGE_PERIOD = 2.0
STATUS_PERIOD: dict[Transport, float] = {"websocket": 3.0, "sse": 5.0}
PUBLISH_PERIOD = 0.1
PRODUCER = "bench"
"""Name under which fan-out publishes; a client that picks it gets no private messages."""

BASELINES: dict[Transport, str] = {"websocket": "ws", "sse": "node-http"}
"""Servers that every other one is divided by."""


@dataclass(frozen=True)
class Goal:
    """A limit that rtdemo's figure keeps within.

    Arguments:
        figure: attribute of Figures.
        limit: the greatest value, or the least with `least`.
        beside: what the figure is divided by, in the same round: `baseline` is Node's server of the
            same transport, a workload's name is the same server under that workload, and an empty
            text leaves the figure as it is.
        least: the limit is the least value.
        transport: only this one; None for both.
    """

    figure: str
    limit: float
    beside: str = ""
    least: bool = False
    transport: Transport | None = None

    def reached(self, value: float) -> bool:
        """Return whether a value keeps within the limit."""
        return value >= self.limit if self.least else value <= self.limit


@dataclass(frozen=True)
class Workload:
    """One kind of load.

    Arguments:
        name: on the command line.
        about: one line for the table's head.
        kind: what happens within the window.
        connections: that are open at once.
        seconds: length of a window, a multiple of every period where messages are periodic.
        query: of each connection's URL.
        speed: factor of the rates of private messages.
        transports: that it runs on.
        plugins: files that rtdemo loads besides; with any, only rtdemo runs.
        goals: of rtdemo.
    """

    name: str
    about: str
    kind: Kind
    connections: int
    seconds: float
    query: str
    speed: float = 1.0
    transports: tuple[Transport, ...] = TRANSPORTS
    plugins: tuple[str, ...] = ()
    goals: tuple[Goal, ...] = ()

    def due_per_second(self, transport: Transport) -> float:
        """Return how many messages one connection is due each second; 0 if it depends on the client."""
        if self.kind == "private":
            return self.speed * (1 / MESSAGE_PERIOD + 1 / STATUS_PERIOD[transport])
        return 1 / PUBLISH_PERIOD if self.kind == "fanout" else 0.0


WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "paced",
        "private messages at ten times the reference's rate",
        "private",
        connections=2000,
        seconds=15,
        query="speed=10",
        speed=10,
        goals=(
            Goal("cpu", 0.90, "baseline", transport="websocket"),
            Goal("cpu", 0.80, "baseline", transport="sse"),
            Goal("p99", 1.0, "baseline"),
        ),
    ),
    Workload(
        "paced-values",
        "paced, with a value of three numbers in each message instead of a text",
        "private",
        connections=2000,
        seconds=15,
        query="speed=10&producers=reading,status",
        speed=10,
        plugins=("benchmarks/peers/readings.py",),
        goals=(Goal("cpu", 1.25, "paced"),),
    ),
    Workload(
        "reference",
        "private messages at the reference's rate",
        "private",
        connections=10_000,
        seconds=30,
        query="speed=1",
        goals=(
            Goal("cpu", 0.95, "baseline", transport="websocket"),
            Goal("cpu", 0.85, "baseline", transport="sse"),
            Goal("rate_kept", 99.9, least=True),
            Goal("p99", 2.0),
            Goal("memory", 5.0),
        ),
    ),
    Workload(
        "fanout",
        "one published message each 100 ms to everyone",
        "fanout",
        connections=2000,
        seconds=10,
        query=f"producers={PRODUCER}",
        goals=(Goal("cpu", 0.80, "baseline"),),
    ),
    Workload(
        "fanout-unpicked",
        "fanout, with ten further shared producers that nobody picked",
        "fanout",
        connections=2000,
        seconds=10,
        query=f"producers={PRODUCER}",
        plugins=("benchmarks/peers/ten_shared_producers.py",),
        goals=(Goal("cpu", 1.03, "fanout"),),
    ),
    Workload(
        "idle",
        "connections that get nothing",
        "idle",
        connections=10_000,
        seconds=5,
        query=f"producers={PRODUCER}",
        goals=(Goal("memory", 5.0),),
    ),
    Workload(
        "storm",
        "connects as fast as they go, then all leave",
        "storm",
        connections=5000,
        seconds=0,
        query="speed=0.1",
        goals=(Goal("cpu", 0.90, "baseline"),),
    ),
    Workload(
        "echo",
        "each connection sends a text and waits for its echo before the next",
        "echo",
        connections=100,
        seconds=10,
        query=f"producers={PRODUCER}",
        transports=("websocket",),
        goals=(Goal("cpu", 1.10, "baseline"),),
    ),
)

GROWTH_CONNECTIONS = (1000, 2000, 5000, 10_000, 20_000)
GROWTH_CPU_LIMIT = 1.5
"""CPU per message at the most connections, divided by that at the fewest."""
GROWTH_BEND_LIMIT = 5.0
"""Percent by which memory may differ from a straight line."""
