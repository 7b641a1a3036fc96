"""The result of a bench run, and its file: `rtdemo bench --json` writes it, `--compare` reads it.

The names of the struct fields are the keys of the file. A change to them needs a new VERSION.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import msgspec

from rtdemo.errors import FileError
from rtdemo.lab.bench.machine import Environment
from rtdemo.protocol.client import TRANSPORTS, Transport
from rtdemo.timing.histogram import Latencies

FORMAT = "rtdemo-bench"
VERSION = 1
MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_NAMES = 20
"""Largest number of irregular producers that figures list by name."""
ParityState = Literal["ok", "not told", "failed"]
"""Result of a parity check."""
UNKNOWN: ParityState = "not told"
"""State of a check that cannot be made; run files have this value."""
_COUNTERS = ("messages", "due", "kept", "lost", "repeated", "disordered", "numbered", "streams", "mute")
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
    """

    connections: int = 100
    seconds: float = 10.0
    rounds: int = 3
    speed: float = 1.0
    transports: tuple[Transport, ...] = TRANSPORTS
    processes: int = 1
    producers: str = ""


class SecondBlock(msgspec.Struct, rename="camel"):
    """Latencies of one second of a window.

    Arguments:
        sent: from `sentAt`, of messages that arrived in this second.
        due: from the due time, of messages that were due in this second.
    """

    sent: Latencies = msgspec.field(default_factory=Latencies)
    due: Latencies = msgspec.field(default_factory=Latencies)


class Figures(msgspec.Struct, rename="camel"):
    """What the connections of one worker, or of all workers, received in a window.

    Arguments:
        blocks: one for each second; without latencies if the server's clock is unknown.
        messages: number that arrived in the window.
        due: number of messages that were due in the window.
        kept: number of due messages that arrived.
        lost, repeated, disordered: by the producers' `seq`, since the connections opened. A late
            message is disordered, not lost.
        numbered: number of messages with a `seq`.
        jitter: milliseconds (RFC 3550 section 6.4.1), mean over streams.
        streams: number of streams with a jitter.
        mute: number of connections that received nothing in the window.
        refuted: True if messages arrived before their `sentAt` on the clock that was assumed.
        periods: milliseconds by producer, of the producers with due times.
        irregular: names of producers without due times.
        whole: True if every `sentAt` is a whole number of milliseconds.
    """

    blocks: list[SecondBlock]
    messages: int = 0
    due: int = 0
    kept: int = 0
    lost: int = 0
    repeated: int = 0
    disordered: int = 0
    numbered: int = 0
    jitter: float = 0.0
    streams: int = 0
    mute: int = 0
    refuted: bool = False
    periods: dict[str, float] = msgspec.field(default_factory=dict)
    irregular: list[str] = msgspec.field(default_factory=list)
    whole: bool = False

    def clear_latencies(self) -> None:
        """Remove all latencies: the server's clock is not the one that was assumed."""
        self.blocks = [SecondBlock() for _ in self.blocks]

    def add(self, other: Figures) -> None:
        """Add the figures of another worker."""
        # Each worker ends an interrupted window by itself, so their numbers of blocks may differ.
        self.blocks += [SecondBlock() for _ in other.blocks[len(self.blocks) :]]
        for mine, its in zip(self.blocks, other.blocks, strict=False):
            mine.sent.add(its.sent)
            mine.due.add(its.due)
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

    cpu: float
    share: float
    lag: Latencies


class Received(msgspec.Struct, rename="camel"):
    """Counts of what arrived; all three are read at the same instant.

    Arguments:
        messages: with `sentAt`.
        bytes: with framing, without TLS.
        payload_bytes: of the messages' JSON.
    """

    messages: int = 0
    bytes: int = 0
    payload_bytes: int = 0

    def since(self, earlier: Received) -> Received:
        """Return what arrived since an earlier count."""
        return Received(
            self.messages - earlier.messages,
            self.bytes - earlier.bytes,
            self.payload_bytes - earlier.payload_bytes,
        )

    def add(self, other: Received) -> None:
        """Add the counts of another connection or worker."""
        self.messages += other.messages
        self.bytes += other.bytes
        self.payload_bytes += other.payload_bytes


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
        unread: number of payloads without `sentAt`.
        left_out: number of messages over a worker's limit.
        clock_is_assumed: True if this machine's clock was used for a server without `/api/time`.
    """

    transport: Transport
    seconds: float
    connections: int
    steps: dict[str, Latencies]
    figures: Figures
    received: Received
    clock_error: float | None
    costs: list[Cost]
    server_cpu: float | None = None
    memory: float | None = None
    others: float | None = None
    ended: dict[str, int] = msgspec.field(default_factory=dict)
    unread: int = 0
    left_out: int = 0
    clock_is_assumed: bool = False


class Run(msgspec.Struct, rename="camel"):
    """A bench run: the content of a run file.

    Arguments:
        at: start time, ISO 8601.
        target: the server's address, or `own server`.
        environment: where it ran.
        settings: what the user asked for.
        format, version: of the file.
        cut_short: True if the run was interrupted.
        parity: whether both transports were measured under the same conditions.
        notes: facts that a reader needs, one sentence each.
        warnings: reasons to doubt the figures, one sentence each.
        rounds: in the order in which they ran.
    """

    at: str
    target: str
    environment: Environment
    settings: RunSettings
    format: str = FORMAT
    version: int = VERSION
    cut_short: bool = False
    parity: list[ParityCheck] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
    rounds: list[Round] = msgspec.field(default_factory=list)

    def of(self, transport: Transport) -> list[Round]:
        """Return the rounds of a transport."""
        return [one for one in self.rounds if one.transport == transport]

    @property
    def transports(self) -> list[Transport]:
        """The transports that have rounds, in the order of the settings."""
        return [name for name in self.settings.transports if self.of(name)]


class _FileHeader(msgspec.Struct):
    format: str = ""
    version: int = 0


def read(path: Path) -> Run:
    """Read a run file.

    Raises:
        FileError: if it cannot be read, is not a run file, or has another version.
    """
    try:
        text = _read_bytes(path)
        header = msgspec.json.decode(text, type=_FileHeader)
        if header.format != FORMAT:
            raise FileError(path, "is not a run file; create one with rtdemo bench --json")
        if header.version != VERSION:
            problem = f"is a run file of version {header.version}, but this rtdemo reads {VERSION}"
            raise FileError(path, f"{problem}; measure again")
        return msgspec.json.decode(text, type=Run)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        problem = f"is not a run file: {error}; create one with rtdemo bench --json"
        raise FileError(path, problem) from error


def _read_bytes(path: Path) -> bytes:
    # Reading a pipe would wait, and a device may have no end.
    if path.exists() and not path.is_file():
        raise FileError(path, "is not a regular file; create one with rtdemo bench --json")
    with path.open("rb") as file:
        text = file.read(MAX_FILE_BYTES + 1)
    if len(text) > MAX_FILE_BYTES:
        raise FileError(path, f"is over {MAX_FILE_BYTES >> 20} MiB, too large for a run file")
    return text


def write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all; to a device or a pipe, write directly.

    Raises:
        FileError: if it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise FileError(path, f"cannot be written: {error.strerror or error}") from error
