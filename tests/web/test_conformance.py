"""Autobahn's cases, as kosoku runs them, against the real server.

The server answers each text with the same text, as the cases expect: a plugin replies with it, and the
outbox of each connection replaces the message's JSON by the text. Nothing else is sent.

Left out are cases that rtdemo does not accept by contract:

- 9.1.2 to 9.6.6, except 9.1.1: messages over 64 KiB, which are refused with 1009;
- 9.8: binary messages, which are read as UTF-8 and answered as text, like those of 1.2 below;
- 12.*.1 and 12.*.2, and the same of 13: kosoku 0.1.0 raises an error in them before it connects;
- 12.2, 12.3, 12.5: compressed binary messages, like 9.8;
- 12.*.10 and 12.*.15 to 12.*.18, and the same of 13: compressed messages of 128 KiB. 12.4.9 has 64 KiB
  characters, which are more than 64 KiB.

Compression needs its switch: `DEFLATED` runs against a server with `--compress`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import zlib
from pathlib import Path

import pytest

from rtdemo.hub.outbox import Outbox
from rtdemo.protocol.deflate import deflated_frame
from rtdemo.protocol.wire import websocket_frame
from rtdemo.server.server import Server
from tests.conftest import Start
from tests.raw_client import TEXT

pytestmark = [pytest.mark.asyncio(loop_factories=["uvloop"]), pytest.mark.uncovered]

CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.1", "9.7.*", "10.*")
DEFLATED = (
    *("12.1.3", "12.1.5", "12.1.7", "12.1.9", "12.1.11", "12.1.14"),
    *("12.4.3", "12.4.6", "12.4.11"),
    *(f"13.{offers}.{size}" for offers in range(1, 8) for size in (3, 6, 11)),
)
"""Of each kind of text and of each offer, some sizes up to 64 KiB: each case sends 1,000 messages."""
AT_ONCE = 8
"""Cases that run at the same time; most of them wait for most of their time."""
DEFLATED_AT_ONCE = 2
"""The same for those of compression, which compute all the time: each fails after 25 s."""
BINARY = [f"1.2.{number}" for number in range(1, 9)]
"""They expect an answer in binary. All but the first, which is empty, are not UTF-8."""
NON_STRICT = {"6.4.1", "6.4.2", "6.4.3", "6.4.4"}
"""Bad UTF-8 in an early fragment is refused, but only after the last one (RFC 6455 section 8.1)."""
BUILT_IN = ("broadcast", "chat", "echo", "message", "status", "welcome")
PATIENT_KOSOKU = """
import kosoku.cases  # its import makes `case` importable
from case import Case
from kosoku import _cli

class Patient:
    def __init__(self, protocol):
        self.__dict__["protocol"] = protocol
    def __getattr__(self, name):
        return getattr(self.protocol, name)
    def __setattr__(self, name, value):
        setattr(self.protocol, name, value)
    def closeAfter(self, seconds):
        self.protocol.closeAfter(max(seconds, 5))
    def killAfter(self, seconds):
        self.protocol.killAfter(8)

init = Case.__init__
Case.__init__ = lambda self, protocol: init(self, Patient(protocol))
_cli.main()
"""
"""kosoku, which otherwise cuts most cases after a second or less: that may be a pause of the machine."""
UNLIMITED = {"texts_per_connection": 0, "control_frames_per_connection": 0}
"""The cases send floods of texts, pings and fragments."""
ECHO = """
from rtdemo import hookimpl

@hookimpl
def receive(text):
    return text
"""


class Verbatim:
    """An outbox that sends the text of a message instead of its JSON, and other frames unchanged."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.is_closing = outbox.is_closing
        self.get_write_buffer_size = outbox.get_write_buffer_size

    def write(self, data: bytes, /) -> bool:
        if data[0] & 0x0F == TEXT:
            start = {126: 4, 127: 10}.get(data[1], 2)
            data = self.encode(json.loads(self.decode(data[0], data[start:]))["message"].encode())
        return self._outbox.write(data)

    def decode(self, first: int, payload: bytes) -> bytes:
        """Return the JSON of a frame with this first byte."""
        return payload

    def encode(self, text: bytes) -> bytes:
        """Return the frame with a text."""
        return websocket_frame(text)


class Deflated(Verbatim):
    """The same for frames that are compressed, with the smallest window that a client may ask for."""

    def decode(self, first: int, payload: bytes) -> bytes:
        is_compressed = first & 0x40
        return zlib.decompress(payload + b"\0\0\xff\xff\3\0", -15) if is_compressed else payload

    def encode(self, text: bytes) -> bytes:
        return deflated_frame(9)(text)


async def run(
    server: Server, reports: Path, cases: tuple[str, ...], at_once: int = AT_ONCE
) -> dict[str, dict[str, str | int | None]]:
    """Return the verdicts by case.

    kosoku runs in its own process: it puts stand-ins for public modules before those of Python.
    """
    arguments = ["-o", str(reports), "-p", str(at_once), *(f"-i{case}" for case in cases)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PATIENT_KOSOKU),
        server.websocket_url,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    index = reports / "index.json"
    assert index.exists(), output.decode()
    by_agent = json.loads(index.read_text()).values()
    return {case: verdict for verdicts in by_agent for case, verdict in verdicts.items()}


async def test_autobahn_cases(start: Start, tmp_path: Path) -> None:
    """No case fails, and no more than four are accepted as not strict."""
    plugin = tmp_path / "verbatim.py"
    plugin.write_text(ECHO)
    server = await start((plugin,), wrap_outbox=Verbatim, without=BUILT_IN, **UNLIMITED)
    verdicts = await run(server, tmp_path / "reports", CASES)
    binary = [verdicts.pop(case) for case in BINARY]
    assert [case["remoteCloseCode"] for case in binary[1:]] == [1007] * 7
    assert len(verdicts) == 246
    judged: dict[object, set[str]] = {}
    for case, verdict in verdicts.items():
        judged.setdefault(verdict["behavior"], set()).add(case)
        judged.setdefault(verdict["behaviorClose"], set()).add(case)
    assert judged.keys() <= {"OK", "INFORMATIONAL", "NON-STRICT"}, judged
    assert judged.get("NON-STRICT", set()) <= NON_STRICT


@pytest.mark.timeout(300)  # it computes all the time
async def test_autobahn_cases_of_compression(start: Start, tmp_path: Path) -> None:
    """With `--compress` each case passes, whatever windows and takeovers the client offers."""
    plugin = tmp_path / "verbatim.py"
    plugin.write_text(ECHO)
    server = await start((plugin,), wrap_outbox=Deflated, without=BUILT_IN, compress=True, **UNLIMITED)
    verdicts = await run(server, tmp_path / "reports", DEFLATED, DEFLATED_AT_ONCE)
    assert len(verdicts) == len(DEFLATED)
    judged = {verdict[key] for verdict in verdicts.values() for key in ("behavior", "behaviorClose")}
    assert judged == {"OK"}, verdicts
