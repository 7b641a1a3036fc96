"""Keep what a run measured, in a file that later versions can tell from others."""

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
ParityState = Literal["ok", "not told", "failed"]


class ParityCheck(msgspec.Struct, frozen=True):
    """Hold one line of the parity audit."""

    name: str
    state: ParityState
    words: str


class Round(msgspec.Struct, rename="camel"):
    """Hold what one transport showed in one window.

    Arguments:
        seconds: of the window.
        connections: that were open.
        steps: of connecting.
        received: messages and bytes.
        clock_error: milliseconds by which latencies may be off; None where they are not told.
        clock_is_assumed: whether this machine's stood for the server's, which tells no time.
        costs: of each process that measured.
        server_cpu: seconds; None where the server's processes are not known.
        memory: bytes that the server holds for each connection; None where it is not bench's own.
        others: cores that all other processes used; None where the server's are not known.
        ended: connections that ended on the way, by reason.
        unread: payloads without `sentAt`.
        left_out: messages over the bound.
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
    """Hold a run.

    Arguments:
        at: when it began, ISO 8601.
        target: the server's address, or `own server`.
        cut_short: whether it was interrupted.
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
        """Return a transport's rounds."""
        return [one for one in self.rounds if one.transport == transport]

    @property
    def transports(self) -> list[Transport]:
        """What was measured, in the order in which it was asked for."""
        return [name for name in self.settings.transports if self.of(name)]


class _FileHeader(msgspec.Struct):
    format: str = ""
    version: int = 0


def read(path: Path) -> Run:
    """Read a run file.

    Raises:
        FileError: where it is none, or of another version.
    """
    try:
        text = _bytes(path)
        head = msgspec.json.decode(text, type=_FileHeader)
        if head.format != FORMAT:
            raise FileError(path, "is no run file; make one with rtdemo bench --json")
        if head.version != VERSION:
            raise FileError(
                path, f"is a run file of version {head.version}, and this is {VERSION}; measure anew"
            )
        return msgspec.json.decode(text, type=Run)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise FileError(path, f"is no run file: {error}; make one with rtdemo bench --json") from error


def _bytes(path: Path) -> bytes:
    # A pipe would be waited for, and a device may have no end.
    if path.exists() and not path.is_file():
        raise FileError(path, "is no regular file; make one with rtdemo bench --json")
    with path.open("rb") as file:
        text = file.read(MAX_FILE_BYTES + 1)
    if len(text) > MAX_FILE_BYTES:
        raise FileError(path, f"is over {MAX_FILE_BYTES >> 20} MiB; no run file is")
    return text


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        FileError: where that fails.
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


MAX_NAMES = 20
_SUMS = ("messages", "due", "kept", "lost", "repeated", "disordered", "numbered", "streams", "mute")


class SecondBlock(msgspec.Struct, rename="camel"):
    """Hold the latencies of one second, from `sentAt` by arrival and from the due instant by that."""

    sent: Latencies = msgspec.field(default_factory=Latencies)
    due: Latencies = msgspec.field(default_factory=Latencies)


class Figures(msgspec.Struct, rename="camel"):
    """Hold what the connections of one process, or of all, showed in a window.

    Arguments:
        blocks: one a second; empty of latencies where the server's clock is not known.
        messages: that came in the window.
        due, kept: how many were due in it, and of these came.
        lost, repeated, disordered: by the producers' own numbers, since the connections opened; what
            came late is not lost.
        numbered: messages with such a number.
        jitter: milliseconds (RFC 3550 section 6.4.1), the mean over streams.
        streams: that have a jitter.
        refuted: whether messages came before they were sent by the clock that was assumed.
        mute: connections on which nothing came in the window.
        periods: milliseconds by producer, of those with due instants.
        irregular: producers without.
        whole: whether `sentAt` has no fraction anywhere.
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
        """Forget the latencies: the clock that they were told by is another."""
        self.blocks = [SecondBlock() for _ in self.blocks]

    def add(self, other: Figures) -> None:
        """Count what another process received, too."""
        # A window that was cut ends in each process by itself, perhaps on two sides of a second.
        self.blocks += [SecondBlock() for _ in other.blocks[len(self.blocks) :]]
        for mine, its in zip(self.blocks, other.blocks, strict=False):
            mine.sent.add(its.sent)
            mine.due.add(its.due)
        streams = self.streams + other.streams
        if streams:
            self.jitter = (self.jitter * self.streams + other.jitter * other.streams) / streams
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refuted = self.refuted or other.refuted
        self.periods |= other.periods
        self.irregular = sorted({*self.irregular, *other.irregular} - self.periods.keys())[:MAX_NAMES]
        self.whole = self.whole or other.whole


class Cost(msgspec.Struct, rename="camel"):
    """Tell what measuring took in the window.

    Arguments:
        cpu: seconds.
        share: of one core.
        lag: how late the loop was.
    """

    cpu: float
    share: float
    lag: Latencies


class Received(msgspec.Struct, rename="camel"):
    """Count what came between two instants; a loop that is late is late for all three alike.

    Arguments:
        bytes: with framing, before TLS.
        payload_bytes: of the messages' JSON.
    """

    messages: int = 0
    bytes: int = 0
    payload_bytes: int = 0

    def since(self, earlier: Received) -> Received:
        """Return what came in between."""
        return Received(
            self.messages - earlier.messages,
            self.bytes - earlier.bytes,
            self.payload_bytes - earlier.payload_bytes,
        )

    def add(self, other: Received) -> None:
        """Count what came elsewhere, too."""
        self.messages += other.messages
        self.bytes += other.bytes
        self.payload_bytes += other.payload_bytes


class RunSettings(msgspec.Struct, rename="camel", frozen=True):
    """Hold what a person asked for.

    Arguments:
        connections: open at once.
        seconds: of each round's window.
        rounds: of each transport.
        speed: multiplies the rates of private producers.
        processes: that measure.
        producers: names, separated by commas; empty for whatever the server sends.
    """

    connections: int = 100
    seconds: float = 10.0
    rounds: int = 3
    speed: float = 1.0
    transports: tuple[Transport, ...] = TRANSPORTS
    processes: int = 1
    producers: str = ""
