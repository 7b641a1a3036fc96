"""What the end of a normal stream means: a cut by age, or the server's own decision."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from rtdemo.lab.doctor.context import Context
from rtdemo.lab.doctor.lifetime import life
from rtdemo.lab.doctor.monitor import StreamMonitor
from rtdemo.lab.doctor.websocket_client import ClosedError
from rtdemo.protocol import address
from tests.app_server import answering
from tests.lab.doctor.doctor_run import examine, findings

PIECE = b"data: " + b"x" * 60_000 + b"\n\n"


@pytest.mark.parametrize(
    ("code", "found", "words"),
    [
        (1006, "age-cut", "was cut at the age of"),
        (1001, "age-cut", "was closed with code 1001"),
        (1013, "ws-cut", "the client received too slowly"),
        (1008, "ws-cut", "a limit, or a token that has expired"),
    ],
)
async def test_close_code_of_the_server_is_no_fault_of_a_proxy(
    code: int, found: str, words: str
) -> None:
    """A proxy cuts, or sends 1001; it has no reason for the others."""
    context = Context(address.parse("http://h"), idle=1)
    monitor = context.monitors["websocket", "1.1"] = StreamMonitor("websocket", "1.1")
    monitor.opened_at, monitor.last_message_at = 0.0, 5900.0
    monitor.error, monitor.ended_at = ClosedError(code), 6000.0
    finding = await life(context, "1.1", "websocket")
    assert (finding.code, finding.verdict) == (found, "fail")
    assert words in finding.seen
    assert ("log" in finding.fix) is (found == "ws-cut")


async def test_stream_of_any_length_is_followed() -> None:
    """A busy server sends more than 4 MiB in the time of a run, which is no cut."""
    sent = 0

    async def stream(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for _ in range(100):
            await answer.write(PIECE)
            sent += len(PIECE)
        await asyncio.Event().wait()
        return answer

    async with answering(stream, "/events", "GET") as url:
        found = findings(await examine(f"{url}/events", idle=1))
    assert sent > 4 * 1024 * 1024
    assert found["SSE age"].code == "ok"
