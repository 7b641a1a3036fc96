"""What `rtdemo doctor` finds where a box in the path drops, cuts or takes out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.doctor.middlebox import middlebox
from tests.doctor.runs import Findings, examine, findings, served

BOXES: dict[str, dict[str, Any]] = {
    "forgets": {"forgets": 3.5},
    "cuts by age": {"life": 5.0},
    "takes out Last-Event-ID": {"without": "Last-Event-ID"},
    "takes out the subprotocol": {"without": "Sec-WebSocket-Protocol"},
    "takes out Origin": {"without": "Origin"},
    "cuts what is large": {"largest": 32_768},
}


@pytest.fixture(scope="module")
def found() -> dict[str, Findings]:
    """Each box by itself, all at once."""

    async def behind(**fault: Any) -> Findings:
        async with served() as server, middlebox(server.web_url, **fault) as url:
            return findings(await examine(url))

    async def everything() -> dict[str, Findings]:
        runs = await asyncio.gather(*(behind(**fault) for fault in BOXES.values()))
        return dict(zip(BOXES, runs, strict=True))

    return asyncio.run(everything())


@pytest.mark.parametrize(
    ("box", "check", "seen", "fix"),
    [
        ("forgets", "SSE idle cut", "dropped without a word between 3 and 4 s of silence", "raise"),
        ("forgets", "WebSocket idle cut", "dropped without a word between 3 and 4 s", "raise"),
        ("cuts by age", "SSE life", "was cut after ", "by their age"),
        ("cuts by age", "WebSocket life", "was cut after ", "by their age"),
        ("takes out Last-Event-ID", "SSE resume", "came back as new", "Last-Event-ID"),
        ("takes out the subprotocol", "WebSocket offers", "subprotocol lost", "Sec-WebSocket-Protocol"),
        ("takes out Origin", "origin rule", "a foreign one let in (404)", "the header Origin"),
        ("cuts what is large", "WebSocket 64 KiB", "did not come back", "limits the size"),
        ("cuts what is large", "SSE 64 KiB", "cut", ""),
    ],
)
def test_fault_is_told(found: dict[str, Findings], box: str, check: str, seen: str, fix: str) -> None:
    """As a failure, with what was seen and what mends it."""
    result = found[box][check]
    assert result.verdict == "fail", result
    assert seen in result.seen
    assert fix in result.fix
