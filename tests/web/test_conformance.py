"""Autobahn's cases, as kosoku runs them, against the real server.

The server answers each text with the same text, as the cases expect: a plugin replies with it, and the
outbox of each connection replaces the message's JSON by the text. Nothing else is sent.

Left out are cases that rtdemo does not accept by contract:

- 9.1.2 to 9.6.6, except 9.1.1: messages over 64 KiB, which are refused with 1009;
- 9.8: binary messages, which are read as UTF-8 and answered as text, like those of 1.2 below;
- 12 and 13: compression, which is off.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from rtdemo.hub.outbox import Outbox
from rtdemo.protocol.wire import websocket_frame
from rtdemo.server.server import Server
from tests.conftest import Start
from tests.raw_client import TEXT

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.1", "9.7.*", "10.*")
AT_ONCE = 8
"""Cases that run at the same time; most of them wait for most of their time."""
BINARY = [f"1.2.{number}" for number in range(1, 9)]
"""They expect an answer in binary. All but the first, which is empty, are not UTF-8."""
NON_STRICT = {"6.4.1", "6.4.2", "6.4.3", "6.4.4"}
"""Bad UTF-8 in an early fragment is refused, but only after the last one (RFC 6455 section 8.1)."""
BUILT_IN = ("broadcast", "chat", "echo", "message", "status", "welcome")
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
            data = websocket_frame(json.loads(data[start:])["message"].encode())
        return self._outbox.write(data)


async def run(server: Server, reports: Path) -> dict[str, dict[str, str | int | None]]:
    """Return the verdicts by case.

    kosoku runs in its own process: it puts stand-ins for public modules before those of Python.
    """
    program = Path(sys.executable).with_name("kosoku")
    arguments = ["-o", str(reports), "-p", str(AT_ONCE), *(f"-i{case}" for case in CASES)]
    process = await asyncio.create_subprocess_exec(
        program,
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
    (verdicts,) = json.loads(index.read_text()).values()
    return dict(verdicts)


async def test_autobahn_cases(start: Start, tmp_path: Path) -> None:
    """No case fails, and no more than four are accepted as not strict."""
    plugin = tmp_path / "verbatim.py"
    plugin.write_text(ECHO)
    server = await start((plugin,), wrap_outbox=Verbatim, without=BUILT_IN)
    verdicts = await run(server, tmp_path / "reports")
    binary = [verdicts.pop(case) for case in BINARY]
    assert [case["remoteCloseCode"] for case in binary[1:]] == [1007] * 7
    assert len(verdicts) == 246
    judged: dict[object, set[str]] = {}
    for case, verdict in verdicts.items():
        judged.setdefault(verdict["behavior"], set()).add(case)
        judged.setdefault(verdict["behaviorClose"], set()).add(case)
    assert judged.keys() <= {"OK", "INFORMATIONAL", "NON-STRICT"}, judged
    assert judged.get("NON-STRICT", set()) <= NON_STRICT
