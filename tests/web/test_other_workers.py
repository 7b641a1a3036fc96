"""One worker asks the others of its parent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from rtdemo.server.server import Server
from rtdemo.web import other_workers
from rtdemo.web.other_workers import Answer, OtherWorkers
from tests.conftest import Start

Sibling = Callable[..., Awaitable[None]]


@pytest.fixture
async def sibling(tmp_path: Path) -> AsyncIterator[Sibling]:
    """One more sibling: `await sibling(status, pause)`."""
    runners: list[web.AppRunner] = []

    async def started(status: int, pause: float = 0.0) -> None:
        async def answer(request: web.Request) -> web.Response:
            await asyncio.sleep(pause)
            return web.Response(status=status, body=await request.read())

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.UnixSite(runner, tmp_path / f"sibling{len(runners)}.sock").start()
        runners.append(runner)

    yield started
    for runner in runners:
        await runner.cleanup()


async def test_the_one_that_it_concerns_answers(
    tmp_path: Path, sibling: Sibling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the rest; only where none of them knows of it, one that is silent counts."""
    asking = OtherWorkers(tmp_path)
    (tmp_path / "gone.sock").touch()
    assert await asking.hand_over("/x", b"hi") == Answer(404)
    await sibling(404)
    assert (await asking.hand_over("/x", b"hi")).status == 404
    await sibling(202, 0.1)
    await sibling(404, 3600)
    assert await asking.hand_over("/x", b"hi") == Answer(202, b"hi")
    monkeypatch.setattr(other_workers, "HEARING", 0.05)
    assert await asking.hand_over("/x", b"hi") == Answer(504)


async def test_silence_is_not_taken_for_a_stream_that_is_gone(
    start: Start, sibling: Sibling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A POST that a sibling may yet hear is answered 504 with Retry-After, not 404."""
    server: Server = await start(single_site=True)
    server._other_workers._folder = tmp_path
    monkeypatch.setattr(other_workers, "HEARING", 0.05)
    await sibling(404, 3600)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post("/api/messages?client=somebody", content="hi")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (504, "2"), answer.text
    server._other_workers._folder = None


async def test_sibling_of_another_version_is_left_out(
    start: Start, sibling: Sibling, tmp_path: Path
) -> None:
    """SIGHUP may bring one whose statistics are others; whoever asks is answered all the same."""
    server: Server = await start(single_site=True)
    server._other_workers._folder = tmp_path
    await sibling(200)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get("/api/stats")
    assert (answer.status_code, answer.json()["workers"]) == (200, 1)
    server._other_workers._folder = None
