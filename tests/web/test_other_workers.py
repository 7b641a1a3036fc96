"""Requests of one worker to the other workers of the same parent."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import httpx
import pytest
from aiohttp import ClientSession, web

from rtdemo.protocol.client import new_id
from rtdemo.server import server as server_module
from rtdemo.server.server import Server
from rtdemo.web import other_workers
from rtdemo.web.other_workers import MAX_LOOKUPS, Answer, OtherWorkers, socket_of
from tests.conftest import Start

OtherWorker = Callable[..., Awaitable[None]]
FIRST = 4_194_305
"""A number that no process has."""


@pytest.fixture
async def other_worker(tmp_path: Path) -> AsyncIterator[OtherWorker]:
    """Start another worker that gives one answer: `await other_worker(status, pause)`.

    The first one is `FIRST`, and the others follow.
    """
    runners: list[web.AppRunner] = []

    async def started(status: int, pause: float = 0.0) -> None:
        async def answer(request: web.Request) -> web.Response:
            await asyncio.sleep(pause)
            return web.Response(status=status, body=await request.read())

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.UnixSite(runner, socket_of(tmp_path, FIRST + len(runners))).start()
        runners.append(runner)

    yield started
    for runner in runners:
        await runner.cleanup()


async def test_answer_is_that_of_the_worker_that_has_the_stream(
    tmp_path: Path, other_worker: OtherWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id names it, and the others are not asked. If it does not answer, that is a 504."""
    asking = OtherWorkers(tmp_path)
    for status, pause in ((404, 0), (202, 0), (202, 3600)):
        await other_worker(status, pause)
    exited = FIRST + 3
    socket_of(tmp_path, exited).touch()

    async def post(worker: int) -> Answer:
        return await asking.post_to_owner(new_id(worker), "/x", b"hi")

    assert (await post(FIRST)).status == 404
    assert await post(FIRST + 1) == Answer(202, b"hi")
    assert await post(exited) == Answer(404)
    monkeypatch.setattr(other_workers, "RECEIVE_TIMEOUT_S", 0.05)
    assert await post(FIRST + 2) == Answer(504)
    await asking.disconnect()


@pytest.mark.parametrize(
    "end", ["", "x", "-", "-x", "-\uff11", "--1", "-1.sock", "-0/../x", f"-{'9' * 99}"]
)
async def test_id_that_names_no_worker_is_asked_for_nowhere(tmp_path: Path, end: str) -> None:
    """So a flood of posts to nobody costs only the worker that it reaches."""
    asking = OtherWorkers(tmp_path)
    asking._sessions = None  # type: ignore[assignment]  # it would fail
    assert await asking.post_to_owner(f"{new_id()}{end}", "/x", b"hi") == Answer(404)
    assert await asking.look_up(new_id(os.getpid()), "/x") == Answer(404)
    assert await asking.look_up(new_id(FIRST), "/x") == Answer(404)


async def test_flood_of_posts_to_nobody_asks_another_worker_for_few_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If ids name it. It gets no bodies, and not a connection for each: that kept it from other work."""
    monkeypatch.setattr(other_workers, "LOOKUP_KEEPALIVE_S", 60.0)
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
    await web.UnixSite(runner, socket_of(tmp_path, FIRST)).start()
    asking = OtherWorkers(tmp_path)
    ids = [new_id(FIRST) for _ in range(20 * MAX_LOOKUPS)]
    flood = (asking.post_to_owner(each, f"/x?client={each}", b"x" * 20_000) for each in ids)
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
        answer = await http.post(f"/api/messages?client={new_id(FIRST)}", content="hi")
        unknown = await http.post(f"/api/messages?client={new_id()}", content="hi")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (504, "2"), answer.text
    assert unknown.status_code == 404


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


async def test_cancellation_that_comes_with_the_timeout_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A health check that went on after it kept its slot from starting another worker."""
    asked = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    path = tmp_path / "1.sock"
    loop = asyncio.get_running_loop()
    async with await asyncio.start_unix_server(accept, path):
        asking = asyncio.ensure_future(other_workers.ask(path, "GET", "/", b"", 60))
        await asked.wait()
        later = loop.time() + 62
        monkeypatch.setattr(loop, "time", lambda: later)
        # The first turn calls what is due, the second is before the task notices.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
