"""Compare the latencies of bench with those of a packet capture of the same messages.

    python -m tests.lab.bench.packet_capture --times 2

It runs `tcpdump` on the loopback interface, so it needs root. The kernel stamps each packet. The latency
of a message is the time of its packet minus its `sentAt`; both are of this machine's clock. bench never
sees the capture. Each run prints both for each transport, with the error that bench prints. Exit code 1
if a percentile is apart by more than that error. Run it on a quiet machine: the client reads a message
after its packet has arrived, and on a busy machine it does so late.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from rtdemo.lab import server_clock
from rtdemo.lab.bench import machine, metrics, verdict
from rtdemo.lab.bench.processes import Workers, own_server
from rtdemo.lab.bench.protocol import Window
from rtdemo.lab.bench.result import Run, RunSettings
from rtdemo.lab.bench.run import measure
from rtdemo.protocol.address import Address
from rtdemo.protocol.client import LABELS
from rtdemo.timing.histogram import RESOLUTION

SENT_AT = re.compile(rb'"sentAt":([0-9.]+)')
PERCENTS = (50.0, 95.0, 99.0)
FILE_HEADER_BYTES = 24
PACKET_HEADER = struct.Struct("<IIII")
"""Seconds, nanoseconds, bytes in the file, bytes on the wire (pcap file format)."""
NANOSECOND_MAGIC = 0xA1B23C4D
ETHERNET_BYTES = 14
BUFFER_KIB = 32_768
"""Of tcpdump; the largest load fits."""


def packets(data: bytes) -> Iterator[tuple[float, bytes]]:
    """Yield the arrival of each packet, in milliseconds since the epoch, and its bytes."""
    [magic] = struct.unpack_from("<I", data)
    assert magic == NANOSECOND_MAGIC, "not a capture with nanoseconds"
    at = FILE_HEADER_BYTES
    while at + PACKET_HEADER.size <= len(data):
        seconds, nanoseconds, length, _ = PACKET_HEADER.unpack_from(data, at)
        at += PACKET_HEADER.size
        yield seconds * 1000 + nanoseconds / 1e6, data[at + ETHERNET_BYTES : at + length]
        at += length


def messages(data: bytes) -> list[tuple[float, float]]:
    """Return the arrival and the latency of each captured message, in milliseconds."""
    return [
        (arrived, arrived - float(sent))
        for arrived, packet in packets(data)
        for sent in SENT_AT.findall(packet)
    ]


@asynccontextmanager
async def captured(port: int, file: Path) -> AsyncIterator[None]:
    """Capture what a local server sends, within the block."""
    process = await asyncio.create_subprocess_exec(
        *(
            "tcpdump",
            "-i",
            "lo",
            "-w",
            str(file),
            "--immediate-mode",
            "-B",
            str(BUFFER_KIB),
            "-Z",
            "root",
        ),
        *("--time-stamp-precision=nano", f"tcp src port {port}"),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    # It says that it listens once it does.
    while b"listening" not in (line := await process.stderr.readline()):
        assert line, "tcpdump ended; it needs root"
    try:
        yield
    finally:
        process.terminate()
        _, found = await process.communicate()
        assert b"0 packets dropped by kernel" in found, found.decode()


async def measured(address: Address, settings: RunSettings) -> tuple[Run, list[Window]]:
    """Return a run of bench, and the window of each round."""
    windows: list[Window] = []
    real = Workers.send_all

    def send_all(workers: Workers, content: object) -> None:
        if isinstance(content, Window):
            windows.append(content)
        real(workers, content)  # type: ignore[arg-type]  # as it was given

    run = Run(at="", target="own server", environment=machine.environment(""), settings=settings)
    with patch.object(Workers, "send_all", send_all):
        await measure(run, address, lambda _what, _number, _of: None)
    return run, windows


def compare(run: Run, windows: list[Window], captured_messages: list[tuple[float, float]]) -> bool:
    """Print both figures of each round; return whether all agree within the error that bench prints."""
    to_epoch = time.time_ns() / 1e6 - server_clock.now()
    agrees = True
    for one, window in zip(run.rounds, windows, strict=True):
        begin = window.start + to_epoch
        found = sorted(
            latency for at, latency in captured_messages if begin <= at < begin + window.seconds * 1000
        )
        shown = [f"{LABELS[one.transport]:9} {one.figures.messages} messages, captured {len(found)}"]
        for percent in PERCENTS:
            ours = metrics.percentile(metrics.latencies([one], "sent"), percent)
            theirs = found[min(len(found) - 1, round(len(found) * percent / 100))]
            assert ours is not None
            assert one.clock_error is not None
            allowed = one.clock_error + theirs * RESOLUTION
            agrees = agrees and abs(ours - theirs) <= allowed
            shown.append(f"p{percent:g} {ours:.3f} against {theirs:.3f} ms (± {allowed:.3f})")
        print("; ".join(shown), flush=True)
    return agrees


async def repeat(times: int, settings: RunSettings) -> bool:
    """Measure and capture several times; return whether all figures agree."""
    agrees = True
    async with own_server() as address:
        for _ in range(times):
            with TemporaryDirectory(prefix="rtdemo-capture-") as folder:
                file = Path(folder) / "packets"
                async with captured(address.port, file):
                    run, windows = await measured(address, settings)
                agrees = compare(run, windows, messages(file.read_bytes())) and agrees
            print(*verdict.accuracy(run), flush=True)
    return agrees


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--speed", type=float, default=5.0)
    given = parser.parse_args()
    settings = RunSettings(given.n, given.seconds, given.rounds, given.speed)
    sys.exit(not asyncio.run(repeat(given.times, settings)))


if __name__ == "__main__":
    main()
