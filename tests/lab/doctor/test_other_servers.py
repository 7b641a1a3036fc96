"""What `rtdemo doctor` says of servers that are no rtdemo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.lab.doctor.doctor_run import examine, findings


@asynccontextmanager
async def stranger(
    path: str, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> AsyncIterator[str]:
    """Serve one path; give the server's address."""
    app = web.Application()
    app.router.add_get(path, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_redirect_to_another_address() -> None:
    """That is the one to examine."""

    async def secure(request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently(f"https://h.example{request.path}")

    async with stranger("/{path:.*}", secure) as url:
        report = await examine(url)
    assert report.exit_code == 2
    assert "redirects to https://h.example; give that" in report.checks[-1].seen


async def test_server_that_is_not_rtdemo() -> None:
    """One line says so and what is left out; what can be tested is."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<p>hello</p>", content_type="text/html")

    async with stranger("/", page) as url:
        report = await examine(url)
    found = findings(report)
    assert list(found) == ["DNS", "TCP", "server", "HTTP version", "page"]
    assert found["server"].verdict == "warn"
    assert "not rtdemo: GET /api/probe/request returned 404" in found["server"].seen
    assert "SSE buffering" in found["server"].seen
    assert found["page"].verdict == "ok"
    # Neither transport could be tested, so nothing is known of the path.
    assert (report.exit_code, report.seconds < 5) == (2, True)


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
async def test_of_one_stream_its_own_address_is_asked(kind: str) -> None:
    """The head alone, however long its body is; where it is no stream, there is nothing to examine."""
    asked = []

    async def endless(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        response = web.StreamResponse(headers={"Content-Type": kind, "Server": "nginx"})
        await response.prepare(request)
        while True:
            await response.write(b":" + b"x" * 65_536 + b"\n\n")
            await asyncio.sleep(0.01)

    async with stranger("/{path:.*}", endless) as url:
        report = await asyncio.wait_for(examine(f"{url}/feed?a=b", idle=1), 20)
    assert set(asked) == {"/feed?a=b"}
    assert "behind nginx" in findings(report)["server"].seen
