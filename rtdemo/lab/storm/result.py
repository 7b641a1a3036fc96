"""The result of a storm, and its file: `rtdemo storm --json` writes it, `--compare` reads it.

The names of the struct fields are the keys of the file. A change to them needs a new VERSION.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from rtdemo.errors import FileError
from rtdemo.lab.bench.machine import Environment
from rtdemo.lab.result_file import read_bytes
from rtdemo.protocol.client import Transport
from rtdemo.protocol.message import DECODE_ERRORS

FORMAT = "rtdemo-storm"
VERSION = 1
MAX_FILE_BYTES = 64 * 1024 * 1024
Level = Literal["ok", "note", "warn", "fail"]
"""Weight of a finding: `fail` makes the exit code 1."""


class StormSettings(msgspec.Struct, rename="camel", frozen=True):
    """What the user asked for.

    Arguments:
        clients: number of all transports together.
        transports: of the clients, which are divided evenly.
        backoffs: the clients' rule for each transport, by name.
        signal: that ends the server, such as `SIGKILL`.
        seconds: longest time that is measured after the signal.
        restart_after_seconds: from the server's end until it is started again; with `--command`.
        publish_per_second: messages that storm publishes; 0 for none.
    """

    clients: int = 1000
    transports: tuple[Transport, ...] = ("websocket", "sse")
    backoffs: dict[str, str] = {}
    signal: str = "SIGKILL"
    seconds: float = 30.0
    restart_after_seconds: float = 0.0
    publish_per_second: float = 0.0


class Times(msgspec.Struct, rename="camel", frozen=True):
    """Times by the share of the clients, in seconds; None if that share is not reached.

    Arguments:
        first: one client.
        p50: 50 %.
        p95: 95 %.
        p99: 99 %.
        p100: 100 %.
    """

    first: float | None = msgspec.field(default=None, name="firstSeconds")
    p50: float | None = msgspec.field(default=None, name="p50Seconds")
    p95: float | None = msgspec.field(default=None, name="p95Seconds")
    p99: float | None = msgspec.field(default=None, name="p99Seconds")
    p100: float | None = msgspec.field(default=None, name="p100Seconds")


class Figures(msgspec.Struct, rename="camel"):
    """What happened to the clients of one transport, or to all.

    Arguments:
        clients: number of them.
        cut: number whose stream ended after the signal.
        back: number of these that are connected at the end.
        gave_up: number that never try again, by the answer after which they gave up.
        back_after: from the signal until so many of those that were cut are back.
        outage: time of one client without a stream; half of the clients have a shorter one, and so on.
        attempts: number of attempts to connect after the signal.
        peak_connects_per_second: most TCP connections in one second.
        failures: number of attempts that failed, by reason.
        notified: number of clients that got a loss notice.
        lost: number of messages that clients lost without a notice; None if that is unknown.
        clients_with_losses: number of clients that lost one.
        unannounced: number of clients for which another log began without a loss notice.
        repeated: number of messages that clients got twice or out of order; None if that is unknown.
        connected: number of connected clients at the end of each step.
        connects: number of TCP connections made in each step.
    """

    clients: int = 0
    cut: int = 0
    back: int = 0
    gave_up: dict[str, int] = {}
    back_after: Times = Times()
    outage: Times = Times()
    attempts: int = 0
    peak_connects_per_second: int = 0
    failures: dict[str, int] = {}
    notified: int = 0
    lost: int | None = None
    clients_with_losses: int = 0
    unannounced: int = 0
    repeated: int | None = None
    connected: list[int] = []
    connects: list[int] = []


class Finding(msgspec.Struct, frozen=True):
    """One thing that a reader should know.

    Arguments:
        code: stable name, such as `messages-lost`.
        level: its weight.
        sentence: what happened.
        fix: what to do; empty if there is nothing to do.
    """

    code: str
    level: Level
    sentence: str
    fix: str = ""


class Storm(msgspec.Struct, rename="camel"):
    """One storm: the content of its file.

    Arguments:
        at: start time, ISO 8601.
        target: the server's address.
        environment: where it ran.
        settings: what the user asked for.
        process: what was killed.
        sides: figures by transport.
        total: figures of all clients.
        step_seconds: length of a step of the figures that are lists.
        signal_at_seconds: when the signal was sent, from the beginning of these lists.
        lag_seconds: by how much storm's own process was late at most, because the machine was busy.
        has_ended: whether the process ended after the signal.
        messages: number of shared messages that clients received.
        published: number of messages that storm published and the server accepted.
        cut_short: True if the run was interrupted.
        findings: the worst first.
        format, version: of the file.
    """

    at: str
    target: str
    environment: Environment
    settings: StormSettings
    process: str = ""
    sides: dict[Transport, Figures] = {}
    total: Figures = msgspec.field(default_factory=Figures)
    step_seconds: Annotated[float, msgspec.Meta(gt=0)] = 0.1
    signal_at_seconds: float | None = None
    lag_seconds: float = 0.0
    has_ended: bool = False
    messages: int = 0
    published: int = 0
    cut_short: bool = False
    findings: list[Finding] = []
    format: str = FORMAT
    version: int = VERSION

    @property
    def transports(self) -> list[Transport]:
        """The transports that have figures."""
        return list(self.sides)


class _FileHeader(msgspec.Struct):
    format: str = ""
    version: int = 0


def read(path: Path) -> Storm:
    """Read the file of a storm.

    Raises:
        FileError: if it cannot be read, is not such a file, or has another version.
    """
    fix = "create one with rtdemo storm --json"
    text = read_bytes(path, MAX_FILE_BYTES, fix)
    try:
        header = msgspec.json.decode(text, type=_FileHeader)
        if (header.format, header.version) != (FORMAT, VERSION):
            raise FileError(path, f"is not a storm's file of version {VERSION}; {fix}")
        return msgspec.json.decode(text, type=Storm)
    except DECODE_ERRORS as error:
        raise FileError(path, f"is not a storm's file: {error}; {fix}") from error
