"""`rtdemo doctor` with an address at which nothing can be checked: it ends after the first requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import aiohttp
import pytest
from aiohttp import web

from rtdemo.lab.doctor.report import Report
from rtdemo.server.server import Server
from tests.app_server import answering
from tests.conftest import Start
from tests.lab.doctor.doctor_run import examine, findings


def ended(report: Report, code: str) -> str:
    """Return the fix of the finding that has ended a run."""
    last = report.checks[-1]
    assert (report.exit_code, last.check, last.verdict, last.code) == (2, "server", "fail", code)
    return last.fix


@pytest.mark.parametrize("path", ["/typo", "/typo/", "/api/nope?key=secret", "/a/b/c/d/e"])
@pytest.mark.parametrize("settings", [{}, {"probes": False}])
async def test_path_that_rtdemo_does_not_have(
    start: Start, path: str, settings: dict[str, bool]
) -> None:
    """The finding has what was asked for and what came, and the fix the server's address."""
    server = await start(single_site=True, **settings)
    report = await examine(f"{server.web_url}{path}")
    fix = ended(report, "not-found")
    assert f"give {server.web_url}/, where rtdemo answers" in fix
    asked = path.partition("?")[0]
    assert f" at {server.web_url}{asked}: rtdemo answered 404" in report.checks[-1].seen
    # A proxy may have kept the path on purpose.
    assert ("start rtdemo with --base-path /typo" in fix) is (path == "/typo/")


@asynccontextmanager
async def behind_path(server: Server) -> AsyncIterator[str]:
    """Run a proxy that forwards what is below `/rt/`, with its path, and nothing else; yield its URL."""

    async def forward(request: web.Request) -> web.Response:
        if not request.path.startswith("/rt/"):
            return web.Response(status=404, text="no such site")
        target = urljoin(server.web_url, request.path_qs)
        async with aiohttp.ClientSession() as http, http.get(target) as answer:
            headers = {"Content-Security-Policy": answer.headers["Content-Security-Policy"]}
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)

    async with answering(forward, "/{path:.*}", "GET") as url:
        yield url


@pytest.mark.parametrize("path", ["/rt", "/rt/typo", "/rt/a/"])
async def test_server_below_a_path_is_found(start: Start, path: str) -> None:
    """Also where only the slash at the end is missing."""
    server = await start(single_site=True, base_path="/rt")
    async with behind_path(server) as url:
        report = await examine(f"{url}{path}")
    assert f"give {url}/rt/, where rtdemo answers" in ended(report, "not-found")


async def test_slash_that_is_missing_is_named_with_the_whole_path(start: Start) -> None:
    """The server's redirect is relative to what was asked for."""
    server = await start(single_site=True, base_path="/a/rt")
    report = await examine(f"{server.web_url}/a/rt")
    assert ended(report, "redirected")
    assert f"redirected to {server.web_url}/a/rt/ (307)" in report.checks[-1].seen


async def test_server_that_does_not_have_the_path_that_its_proxy_keeps(start: Start) -> None:
    """It answers nowhere else."""
    async with behind_path(await start(single_site=True)) as url:
        report = await examine(f"{url}/rt/")
    assert ended(report, "not-found").startswith("start rtdemo with --base-path /rt")


async def test_path_that_another_server_does_not_have() -> None:
    """It is asked several times: behind a load balancer, the next server may have it."""
    asked: list[str] = []

    async def nothing(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=404)

    async with answering(nothing, "/{path:.*}", "GET") as url:
        report = await examine(f"{url}/feed")
    assert ended(report, "not-found") == (
        f"give the address of a stream; for an rtdemo server, give {url}/"
    )
    assert report.checks[-1].seen == f"there is no stream at {url}/feed: Python answered 404"
    assert asked.count("/feed") == 3


@pytest.mark.parametrize("status", [403, 404])
async def test_stream_that_one_of_two_servers_has(status: int) -> None:
    """The run goes on, as this is what the checks are for."""
    asked: list[str] = []

    async def sometimes(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if len(asked) == 1:
            return web.Response(status=status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: {}\n\n")
        return response

    async with answering(sometimes, "/feed", "GET") as url:
        report = await examine(f"{url}/feed", idle=1)
    assert findings(report)["server"].verdict == "ok"
    assert "SSE first byte" in findings(report)


@pytest.mark.parametrize(
    ("status", "headers", "code", "words"),
    [
        (401, {}, "sign-in", "answered 401: a sign-in is needed"),
        (403, {}, "forbidden", "answered 403: the request is refused"),
        (301, {"Location": "/live"}, "redirected", "/live (301)"),
        (302, {"Location": "/login"}, "sign-in", "redirected to a sign-in page"),
    ],
)
async def test_stream_that_is_refused_each_time(
    status: int, headers: dict[str, str], code: str, words: str
) -> None:
    """No check of it would show anything else."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    async with answering(refuse, "/feed", "GET") as url:
        report = await examine(f"{url}/feed")
    assert ended(report, code)
    assert words in report.checks[-1].seen


async def test_query_that_rtdemo_refuses(start: Start) -> None:
    """The server's own line says what is wrong."""
    server = await start(single_site=True)
    report = await examine(f"{server.web_url}/api/sse?producers=nope")
    ended(report, "unexpected-status")
    assert "rtdemo answered 400: producers: there is no 'nope'" in report.checks[-1].seen


async def test_websocket_at_a_path_without_one(start: Start) -> None:
    """The server names the path of its WebSocket."""
    server = await start(single_site=True)
    url = server.web_url.replace("http", "ws", 1)
    report = await examine(f"{url}/typo")
    assert f"give {server.web_url}/, where rtdemo answers" in ended(report, "not-found")
    assert "there is no WebSocket at this path; the WebSocket is at /ws" in report.checks[-1].seen
    report = await examine(f"{url}/")
    assert f"for an rtdemo server, give {server.web_url}/" in ended(report, "html-answer")
    assert report.checks[-1].seen == f"{url}/ is a web page, not a stream"


async def test_websocket_with_the_scheme_of_a_page(start: Start) -> None:
    """The fix has both addresses that can be meant."""
    server = await start(single_site=True, base_path="/rt")
    url = server.web_url.rstrip("/")
    report = await examine(f"{url}/ws?producers=message")
    assert ended(report, "unexpected-status") == (
        f"for this WebSocket, give {url.replace('http', 'ws', 1)}/ws; for an rtdemo server, give {url}/"
    )


@pytest.mark.parametrize("path", ["", "/", "/x"])
async def test_port_for_websocket_alone(server: Server, path: str) -> None:
    """The answer of rtdemo names the page, which is at another port."""
    url = server.websocket_url.rstrip("/")
    report = await examine(f"http{url.removeprefix('ws')}{path}")
    this = f"for this WebSocket, give {url}{path or '/'}"
    page = "for an rtdemo server, give the address of its page"
    assert ended(report, "unexpected-status") == f"{this}; {page}"
    assert f"the page is at {server.web_url}/" in report.checks[-1].seen


async def test_address_at_which_rtdemo_takes_messages(server: Server) -> None:
    """`--post` would publish its body there."""
    report = await examine(f"{server.web_url}/api/publish")
    assert ended(report, "not-found") == f"for an rtdemo server, give {server.web_url}/"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/"])
@pytest.mark.parametrize(
    ("allow", "is_named"), [("POST", True), ("OPTIONS, post", True), ("GET, POST", False)]
)
async def test_address_that_takes_post_only(path: str, allow: str, is_named: bool) -> None:
    """Such as that of an LLM: no proxy is to blame."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=405, headers={"Allow": allow})

    async with answering(refuse, "/{path:.*}", "GET") as url:
        report = await examine(f"{url}{path}")
    fix = ended(report, "not-found")
    assert ("give its body: --post body.json" in fix) is is_named
    assert ("proxy" in fix) is not is_named


async def test_page_and_websocket_at_one_address() -> None:
    """As development servers have them: it is the address of a WebSocket."""

    async def both(request: web.Request) -> web.StreamResponse:
        if "Upgrade" not in request.headers:
            return web.Response(text="<p>page</p>", content_type="text/html")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        return socket

    async with answering(both, "/", "GET") as url:
        report = await examine(f"{url.replace('http', 'ws', 1)}/", idle=1)
    assert findings(report)["WebSocket upgrade"].seen == "101 Switching Protocols"


async def test_page_at_the_address_of_a_websocket_that_is_refused() -> None:
    """The checks of the WebSocket say why, such as that a proxy cannot reach its server."""

    async def both(request: web.Request) -> web.Response:
        if "Upgrade" in request.headers:
            return web.Response(status=502)
        return web.Response(text="<p>page</p>", content_type="text/html")

    async with answering(both, "/", "GET") as url:
        report = await examine(f"{url.replace('http', 'ws', 1)}/", idle=1)
    assert report.exit_code == 1
    assert "answered 502" in findings(report)["WebSocket upgrade"].seen


async def test_handshake_that_may_have_lost_its_headers() -> None:
    """A server that answers 404 to all but handshakes may be behind a proxy that removes Upgrade."""

    async def other(_: web.Request) -> web.Response:
        return web.Response()

    async with answering(other, "/other", "GET") as url:
        report = await examine(f"{url.replace('http', 'ws', 1)}/ws", idle=1)
    assert (report.exit_code, findings(report)["WebSocket upgrade"].code) == (1, "ws-not-open")
