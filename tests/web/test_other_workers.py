"""Requests of one worker to the other workers of the same parent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import httpx
import pytest
from aiohttp import ClientSession, web

from rtdemo.server import server as server_module
from rtdemo.server.server import Server
from rtdemo.web import other_workers
from rtdemo.web.other_workers import MAX_LOOKUPS, Answer, OtherWorkers
from tests.conftest import Start

OtherWorker = Callable[..., Awaitable[None]]


@pytest.fixture
async def other_worker(tmp_path: Path) -> AsyncIterator[OtherWorker]:
    """Start another worker that gives one answer: `await other_worker(status, pause)`."""
    runners: list[web.AppRunner] = []

    async def started(status: int, pause: float = 0.0) -> None:
        async def answer(request: web.Request) -> web.Response:
            await asyncio.sleep(pause)
            return web.Response(status=status, body=await request.read())

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.UnixSite(runner, tmp_path / f"worker{len(runners)}.sock").start()
        runners.append(runner)

    yield started
    for runner in runners:
        await runner.cleanup()


async def test_answer_is_that_of_the_worker_that_has_the_stream(
    tmp_path: Path, other_worker: OtherWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are not waited for. If none has it, one that did not answer makes it a 504."""
    asking = OtherWorkers(tmp_path)
    (tmp_path / "gone.sock").touch()
    assert await asking.post_to_owner("/x", b"hi") == Answer(404)
    await other_worker(404)
    assert (await asking.post_to_owner("/x", b"hi")).status == 404
    await other_worker(202, 0.1)
    await other_worker(404, 3600)
    assert await asking.post_to_owner("/x", b"hi") == Answer(202, b"hi")
    monkeypatch.setattr(other_workers, "RECEIVE_TIMEOUT_S", 0.05)
    assert await asking.post_to_owner("/x", b"hi") == Answer(504)
    await asking.disconnect()


async def test_flood_of_posts_to_nobody_asks_another_worker_for_few_at_once(tmp_path: Path) -> None:
    """It gets no bodies, and not a connection for each: a flood had kept workers from all other work."""
    now = most = bodies = 0
    connections = set()

    async def answer(request: web.Request) -> web.Response:
        nonlocal now, most, bodies
        connections.add(request.transport)
        now, bodies = now + 1, bodies + len(await request.read())
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, tmp_path / "worker.sock").start()
    asking = OtherWorkers(tmp_path)
    flood = (asking.post_to_owner(f"/x?client={n}", b"x" * 20_000) for n in range(20 * MAX_LOOKUPS))
    assert set(await asyncio.gather(*flood)) == {Answer(404, b"")}
    await asking.disconnect()
    await runner.cleanup()
    assert most <= MAX_LOOKUPS
    assert len(connections) <= MAX_LOOKUPS
    assert bodies == 0


@pytest.fixture
async def server(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that shares its folder with the other workers of `other_worker`."""
    monkeypatch.setattr(server_module, "OtherWorkers", lambda _folder: OtherWorkers(tmp_path))
    return await start(single_site=True)


async def test_worker_that_does_not_answer_is_not_taken_for_one_without_the_stream(
    server: Server, other_worker: OtherWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A POST that another worker may still receive is answered with 504 and Retry-After, not 404."""
    monkeypatch.setattr(other_workers, "RECEIVE_TIMEOUT_S", 0.05)
    await other_worker(404, 3600)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.post("/api/messages?client=unknown", content="hi")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (504, "2"), answer.text


async def test_worker_of_another_version_is_left_out(server: Server, other_worker: OtherWorker) -> None:
    """A reload by SIGHUP may start one with other statistics; requests are answered all the same."""
    await other_worker(200)
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        answer = await http.get("/api/stats")
    assert (answer.status_code, answer.json()["workers"]) == (200, 1)


async def test_only_other_workers_may_look_up_streams(server: Server) -> None:
    """For everyone else, the address takes POST alone, whatever the id."""
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        for method in ("GET", "PUT", "OPTIONS"):
            answer = await http.request(method, "/api/messages?client=unknown")
            assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


async def test_workers_that_have_gone_may_be_noticed_twice_at_once() -> None:
    """Each session is closed once, although closing takes several turns of the loop."""
    closed = list[object]()

    class Session:
        async def close(self) -> None:
            closed.append(self)
            await asyncio.sleep(0)

    asking = OtherWorkers()
    asking._sessions = {Path(name): cast("ClientSession", Session()) for name in ("one", "two")}
    await asyncio.gather(asking.disconnect(), asking.disconnect())
    assert len(closed) == len(set(closed)) == 2
