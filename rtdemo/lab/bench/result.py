"""Keep what a run measured, in a file that later versions can tell from others."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import msgspec

from rtdemo.client import Transport
from rtdemo.errors import FileError
from rtdemo.lab.bench.answers import Cost, Received
from rtdemo.lab.bench.figures import Figures
from rtdemo.lab.bench.latencies import Latencies
from rtdemo.lab.bench.machine import Environment
from rtdemo.lab.bench.plan import RunSettings

FORMAT = "rtdemo-bench"
VERSION = 1
MAX_FILE = 256 * 1024 * 1024

State = Literal["ok", "not told", "failed"]


class Line(msgspec.Struct, frozen=True):
    """Hold one line of the parity audit."""

    name: str
    state: State
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
    parity: list[Line] = msgspec.field(default_factory=list)
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


class _Head(msgspec.Struct):
    format: str = ""
    version: int = 0


def read(path: Path) -> Run:
    """Read a run file.

    Raises:
        FileError: where it is none, or of another version.
    """
    try:
        text = _bytes(path)
        head = msgspec.json.decode(text, type=_Head)
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
        text = file.read(MAX_FILE + 1)
    if len(text) > MAX_FILE:
        raise FileError(path, f"is over {MAX_FILE >> 20} MiB; no run file is")
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
