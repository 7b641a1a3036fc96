"""Findings of `rtdemo doctor` on servers other than rtdemo."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from rtdemo.server.server import Server
from tests.app_server import answering
from tests.lab.doctor.doctor_run import examine, findings


async def test_redirect_to_another_address() -> None:
    """The finding names the address to check instead."""

    async def secure(request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently(f"https://h.example{request.path}")

    async with answering(secure, "/{path:.*}", "GET") as url:
        report = await examine(url)
    assert report.exit_code == 2
    assert "redirected to https://h.example/api/probe/request (301)" in report.checks[-1].seen


async def test_server_that_is_not_rtdemo() -> None:
    """One finding reports that and the checks that cannot run; all others run."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<p>hello</p>", content_type="text/html")

    async with answering(page, "/", "GET") as url:
        # Nothing waits for the end of this silence: that would exceed the test's time limit.
        report = await examine(url, idle=3600)
    found = findings(report)
    assert list(found) == ["DNS", "TCP", "server", "HTTP version", "page"]
    assert found["server"].verdict == "warn"
    assert "rtdemo did not see GET /api/probe/request: Python answered 404" in found["server"].seen
    assert "not tested: 21 other checks" in found["server"].seen
    assert found["page"].verdict == "ok"
    # Neither transport could be checked.
    assert report.exit_code == 2


async def test_page_is_no_stream(server: Server) -> None:
    """The address of the view, which the server prints, ends the run at once with the one to give."""
    report = await examine(f"{server.web_url}/view?a=b")
    last = report.checks[-1]
    assert (report.exit_code, last.check, last.code) == (2, "server", "html-answer")
    assert last.seen == f"{server.web_url}/view is a web page, not a stream"
    assert last.fix == f"give the address of a stream; for an rtdemo server, give {server.web_url}/"


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
async def test_url_of_one_stream_is_requested_itself(kind: str) -> None:
    """Only its head is read, even if its body has no end; no other path is requested."""
    asked = []

    async def endless(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        response = web.StreamResponse(headers={"Content-Type": kind, "Server": "nginx"})
        await response.prepare(request)
        while True:
            await response.write(b":" + b"x" * 65_536 + b"\n\n")
            await asyncio.sleep(0.01)

    async with answering(endless, "/{path:.*}", "GET") as url:
        report = await asyncio.wait_for(examine(f"{url}/feed?a=b", idle=1), 60)
    assert set(asked) == {"/feed?a=b"}
    assert "behind nginx" in findings(report)["server"].seen
