"""The result of a bench run: the content of the file that `rtdemo bench --json` writes.

The names of the struct fields are the keys of the file, in camel case; quantities have their unit at the
end of the key. A changed key needs a new VERSION, and `run_file` then reads the older files.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rtdemo.lab.bench.machine import Environment
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.timing.histogram import Latencies

FORMAT = "rtdemo-bench"
VERSION = 2
MAX_NAMES = 20
"""Largest number of irregular producers that figures list by name."""
ParityState = Literal["ok", "unknown", "failed"]
"""Result of a parity check; unknown if it cannot be made."""
_COUNTERS = (
    *("messages", "untimed", "due", "kept", "lost", "repeated", "disordered", "numbered", "streams"),
    "mute",
)
"""Fields of `Figures` that add up over workers."""


class ParityCheck(msgspec.Struct, frozen=True):
    """One condition that should be the same for both transports.

    Arguments:
        name: of the condition.
        state: whether it is the same.
        words: its value, or the value of each transport where they differ.
    """

    name: str
    state: ParityState
    words: str


class Finding(msgspec.Struct, frozen=True):
    """A fact about a run that a reader needs.

    Arguments:
        code: stable name of the kind of fact.
        text: the fact, without a full stop.
    """

    code: str
    text: str


class Verdict(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """The answer to one question about a run.

    Arguments:
        code: stable name of the kind of answer; `verdict.py` lists them.
        sentence: for people.
        metric: name of the figure that decides, such as `p99`.
        low_ms, high_ms: the interval of its difference, second side minus first.
        bound_ms: the difference is under this; of verdicts that claim equality.
        flags: options that give enough data, if there was too little.
    """

    code: str
    sentence: str
    metric: str = ""
    low_ms: float | None = None
    high_ms: float | None = None
    bound_ms: float | None = None
    flags: str = ""


class RunSettings(msgspec.Struct, rename="camel", frozen=True):
    """What the user asked for.

    Arguments:
        connections: open at the same time.
        seconds: length of each round's window.
        rounds: number for each transport.
        speed: factor for the rates of private producers.
        transports: to measure.
        processes: number of workers.
        producers: names, separated by commas; empty for bench's own choice.
        body_bytes: size of the body of POST requests; None for GET requests.
        max_rounds: number up to which bench goes on by itself while two transports are not decided; not
            more than `rounds` if the user chose the number.
    """

    connections: int = 100
    seconds: float = 10.0
    rounds: int = 3
    speed: float = 1.0
    transports: tuple[Transport, ...] = TRANSPORTS
    processes: int = 1
    producers: str = ""
    body_bytes: int | None = None
    max_rounds: int = 0


class SecondBlock(msgspec.Struct, rename="camel"):
    """Latencies of one second of a window.

    Arguments:
        sent: from `sentAt`, of messages that arrived in this second.
        due: from the due time, of messages that were due in this second.
        gap: time since the previous message of the connection, of messages that arrived in this second.
    """

    sent: Latencies = msgspec.field(default_factory=Latencies)
    due: Latencies = msgspec.field(default_factory=Latencies)
    gap: Latencies = msgspec.field(default_factory=Latencies)


class Figures(msgspec.Struct, rename="camel"):
    """What the connections of one worker, or of all workers, received in a window.

    Arguments:
        blocks: one for each second; without latencies if the server's clock is unknown.
        messages: number that arrived in the window.
        untimed: number of those without `sentAt`.
        due: number of messages that were due in the window.
        kept: number of due messages that arrived.
        lost, repeated, disordered: by the producers' `seq`, since the connections opened. A late
            message is disordered, not lost.
        numbered: number of messages with a `seq`.
        jitter: milliseconds (RFC 3550 section 6.4.1), mean over streams. Without `sentAt`, as if each
            connection's messages were sent at its median gap.
        streams: number of streams with a jitter.
        mute: number of connections that received nothing in the window.
        refuted: True if messages arrived before their `sentAt` on the clock that was assumed.
        periods: milliseconds by producer, of the producers with due times.
        irregular: names of producers without due times.
        whole: True if every `sentAt` is a whole number of milliseconds.
    """

    blocks: list[SecondBlock]
    messages: int = 0
    untimed: int = 0
    due: int = 0
    kept: int = 0
    lost: int = 0
    repeated: int = 0
    disordered: int = 0
    numbered: int = 0
    jitter: float = msgspec.field(default=0.0, name="jitterMs")
    streams: int = 0
    mute: int = 0
    refuted: bool = False
    periods: dict[str, float] = msgspec.field(default_factory=dict, name="periodsMs")
    irregular: list[str] = msgspec.field(default_factory=list)
    whole: bool = False

    def clear_latencies(self) -> None:
        """Remove all latencies: the server's clock is not the one that was assumed."""
        self.blocks = [SecondBlock(gap=block.gap) for block in self.blocks]

    def add(self, other: Figures) -> None:
        """Add the figures of another worker."""
        # Each worker ends an interrupted window by itself, so their numbers of blocks may differ.
        self.blocks += [SecondBlock() for _ in other.blocks[len(self.blocks) :]]
        for mine, its in zip(self.blocks, other.blocks, strict=False):
            mine.sent.add(its.sent)
            mine.due.add(its.due)
            mine.gap.add(its.gap)
        streams = self.streams + other.streams
        if streams:
            self.jitter = (self.jitter * self.streams + other.jitter * other.streams) / streams
        for name in _COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refuted = self.refuted or other.refuted
        self.periods |= other.periods
        self.irregular = sorted({*self.irregular, *other.irregular} - self.periods.keys())[:MAX_NAMES]
        self.whole = self.whole or other.whole


class Cost(msgspec.Struct, rename="camel"):
    """What measuring cost one worker in the window.

    Arguments:
        cpu: seconds of CPU time.
        share: of one core, 0 to 1.
        lag: how late the worker's event loop was.
    """

    cpu: float = msgspec.field(name="cpuSeconds")
    share: float
    lag: Latencies


class Received(msgspec.Struct, rename="camel"):
    """Counts of what arrived; all are read at the same instant.

    Arguments:
        messages: number of messages.
        bytes: with framing, without TLS.
        payload_bytes: without framing.
        stamped: number of messages of which the kernel took the time of arrival.
    """

    messages: int = 0
    bytes: int = 0
    payload_bytes: int = 0
    stamped: int = 0

    def since(self, earlier: Received) -> Received:
        """Return what arrived since an earlier count."""
        return Received(
            self.messages - earlier.messages,
            self.bytes - earlier.bytes,
            self.payload_bytes - earlier.payload_bytes,
            self.stamped - earlier.stamped,
        )

    def add(self, other: Received) -> None:
        """Add the counts of another connection or worker."""
        self.messages += other.messages
        self.bytes += other.bytes
        self.payload_bytes += other.payload_bytes
        self.stamped += other.stamped


class Round(msgspec.Struct, rename="camel"):
    """What one transport delivered in one window.

    Arguments:
        transport: that was measured.
        seconds: length of the window.
        connections: number that were open.
        steps: durations by step of connecting.
        figures: what the messages show.
        received: messages and bytes.
        clock_error: plus or minus milliseconds of the latencies; None if latencies are unknown.
        costs: of each worker.
        server_cpu: seconds; None if the server's processes are unknown.
        memory: bytes of server memory for each connection; None unless the server is bench's own.
        others: cores that all other processes used; None if the server's processes are unknown.
        ended: number of connections that ended early, by reason.
        unread: number of messages without `sentAt`.
        left_out: number of messages over a worker's limit.
        repeats: number of POST requests that were repeated after a complete response.
        clock_offset: server time minus this machine's monotonic clock, milliseconds; None if unknown.
        clock_is_assumed: True if this machine's clock was used for a server without `/api/time`.
    """

    transport: Transport
    seconds: float
    connections: int
    steps: dict[str, Latencies]
    figures: Figures
    received: Received
    clock_error: float | None = msgspec.field(name="clockErrorMs")
    costs: list[Cost]
    server_cpu: float | None = msgspec.field(default=None, name="serverCpuSeconds")
    memory: float | None = msgspec.field(default=None, name="memoryBytes")
    others: float | None = msgspec.field(default=None, name="otherCores")
    ended: dict[str, int] = msgspec.field(default_factory=dict)
    unread: int = 0
    left_out: int = 0
    repeats: int = 0
    clock_offset: float | None = msgspec.field(default=None, name="clockOffsetMs")
    clock_is_assumed: bool = False


class Run(msgspec.Struct, rename="camel", kw_only=True):
    """A bench run: the content of a run file.

    Arguments:
        format, version: of the file.
        headline: the answer in one sentence, which is the first verdict's; empty until it is known.
        verdicts: the answer to each question; the most important one first.
        summary: each figure as a number: its metric, what it was measured from, the value of each
            transport with its unit, and the difference with its interval.
        at: start time, ISO 8601.
        target: the server's address, or `own server`.
        environment: where it ran.
        settings: what the user asked for.
        cut_short: True if the run was interrupted.
        parity: whether both transports were measured under the same conditions.
        notes: facts that a reader needs.
        warnings: reasons to doubt the figures.
        rounds: in the order in which they ran.
    """

    format: str = FORMAT
    version: int = VERSION
    headline: str = ""
    verdicts: list[Verdict] = []
    summary: list[dict[str, str | float | None]] = []
    at: str
    target: str
    environment: Environment
    settings: RunSettings
    cut_short: bool = False
    parity: list[ParityCheck] = []
    notes: list[Finding] = []
    warnings: list[Finding] = []
    rounds: list[Round] = []

    def of(self, transport: Transport) -> list[Round]:
        """Return the rounds of a transport."""
        return [one for one in self.rounds if one.transport == transport]

    @property
    def is_stamped(self) -> bool:
        """Whether the kernel took the time of each arrival, so that no latency includes its reading."""
        return all(one.received.stamped >= one.received.messages for one in self.rounds)

    @property
    def transports(self) -> list[Transport]:
        """The transports that have rounds, in the order of the settings."""
        return [name for name in self.settings.transports if self.of(name)]
