"""`--base-path /rt`: the server answers below the path and without it, whatever a proxy removes."""

from __future__ import annotations

import asyncio
import json
import re

import httpx
import pytest
import websockets
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from rtdemo.server.server import Server
from rtdemo.web.base_path import without
from tests.clients import CONNECT
from tests.conftest import Start
from tests.raw_client import RawClient
from tests.web.login_tokens import SECRET, bearer, token

BASE_PATHS = ["/rt", "/a/b.c"]


@pytest.fixture(params=BASE_PATHS)
async def below(request: pytest.FixtureRequest, start: Start) -> Server:
    """Serve below a path."""
    return await start(base_path=request.param, single_site=True)


def bare_url(server: Server) -> str:
    """Return the URL of the web site without the base path."""
    return server.web_url.removesuffix(server.settings.base_path)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/healthz", "/readyz", "/metrics", "/static/app.js", "/api/stats", "/api/producers"),
        *("/view", "/api/probe/request", "/api/sse?speed=0", "/ws", "/nothing?x=1"),
    ],
)
async def test_every_path_is_also_below_the_base_path(below: Server, path: str) -> None:
    """Both answers have the same status and headers."""
    async with httpx.AsyncClient() as http:
        bare, prefixed = [await http.get(base + path) for base in (bare_url(below), below.web_url)]
    assert prefixed.status_code == bare.status_code
    assert prefixed.headers.keys() == bare.headers.keys()
    if path in ("/", "/static/app.js"):
        assert prefixed.content == bare.content


async def test_both_transports(below: Server, transport: str) -> None:
    """Below the path a stream and a WebSocket open, get the welcome, and take texts."""
    async with CONNECT[transport](below, "") as peer:
        assert peer.welcome["message"].endswith("connection established")
        await peer.say("hello")
        while (await peer.receive())["message"] != "Echo: hello":
            pass


async def test_websocket_without_the_path(below: Server) -> None:
    """As a proxy asks that removes it."""
    async with websockets.connect(f"{bare_url(below).replace('http', 'ws', 1)}/ws") as socket:
        assert json.loads(await socket.recv())["message"] == "WebSocket connection established"


async def test_ticket_opens_a_stream(start: Start) -> None:
    server = await start(base_path="/rt", single_site=True, secret=SECRET)
    async with httpx.AsyncClient() as http:
        given = await http.post(f"{server.web_url}/api/ticket", headers=bearer(token()))
        url = f"{server.web_url}/api/sse?ticket={given.json()['ticket']}"
        async with http.stream("GET", url) as stream:
            assert stream.status_code == 200


@pytest.mark.parametrize(
    ("query", "location"),
    [("", "rt/"), ("?speed=2", "rt/?speed=2"), ("?a=%0D%0Ab%26c", "rt/?a=%0D%0Ab%26c")],
)
async def test_path_without_its_slash_is_redirected(start: Start, query: str, location: str) -> None:
    """From `/rt`, the page's relative URLs would be those of the proxy's root. The query is kept."""
    server = await start(base_path="/at/rt")
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{server.web_url}{query}")
        assert (answer.status_code, answer.headers["Location"]) == (307, location)
        followed = await http.get(answer.next_request.url) if answer.next_request else None
    assert followed is not None
    assert followed.url == f"{server.web_url}/{query}"
    assert followed.headers["Content-Type"].startswith("text/html")


async def test_path_that_only_begins_alike_is_another_one(start: Start) -> None:
    """Nor is the base path removed twice. The answer names the page's address."""
    server = await start(base_path="/rt")
    async with httpx.AsyncClient(base_url=bare_url(server)) as http:
        answers = [await http.get(path) for path in ("/rtx/healthz", "/rt/rt/healthz", "/RT/healthz")]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert (
        answers[0].text
        == "there is nothing at /rtx/healthz; the page is at /rt/, the view at /rt/view\n"
    )


async def test_page_names_its_files_and_its_websocket_relative_to_itself(start: Start) -> None:
    """Also without the setting, so that a proxy which removes a path needs none."""
    for server in (await start(), await start(base_path="/rt")):
        async with httpx.AsyncClient() as http:
            page = await http.get(f"{server.web_url}/")
        addresses = re.findall(r'(?:src|href)="([^#"][^"]*)"', page.text)
        assert addresses
        assert [one for one in addresses if one.startswith("/") or "://" in one] == []
    assert 'data-websocket-port=""' in page.text


async def test_target_that_is_a_whole_url(start: Start) -> None:
    """RFC 9112 section 3.2.2: a server has to accept one."""
    server = await start(base_path="/rt")
    raw = await RawClient(server, "sse").connect()
    for path in ("/rt/healthz", "/healthz"):
        await raw.send(
            f"GET http://localhost{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
        )
        await raw.read_until(b"ok\n")
        raw.received = b""
    raw.leave()


@pytest.mark.parametrize(
    ("target", "removed"),
    [
        ("/rt/", "/"),
        ("/rt/x?y=/rt/#z", "/x?y=/rt/#z"),
        ("/rt//x", "//x"),
        ("/rt/%2e%2e/x", "/%2e%2e/x"),
        ("/x/rt/", "/x/rt/"),
        ("/rt", "/rt"),
        ("/rt?x=1", "/rt?x=1"),
        ("http://rt/rt/x?y", "http://rt/x?y"),
        ("http://rt/x/rt/", "http://rt/x/rt/"),
        ("http://rt", "http://rt"),
        ("*", "*"),
    ],
)
async def test_only_the_beginning_of_the_path_is_removed(target: str, removed: str) -> None:
    """The URL of the head is that of its target."""
    method = "OPTIONS" if target == "*" else "GET"

    def head(target: str) -> RawRequestMessage:
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
        messages, _, _ = parser.feed_data(f"{method} {target} HTTP/1.1\r\nHost: rt\r\n\r\n".encode())
        return messages[0][0]

    found = without("/rt", head(target))
    assert found.path == removed
    assert found.url == head(removed).url


async def test_addresses_at_the_start(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """They are below the path."""
    server = await start(base_path="/rt", single_site=True)
    server._print_addresses()
    lines = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[:3]]
    port = server.web_url.rpartition(":")[2].partition("/")[0]
    page = f"http://127.0.0.1:{port}/rt/"
    assert lines == [page, f"{page}view", f"ws://127.0.0.1:{port}/rt/ws"]


async def test_websocket_site_names_the_page_below_the_path(start: Start) -> None:
    server = await start(base_path="/rt")
    async with httpx.AsyncClient() as http:
        answer = await http.get(server.websocket_url.replace("ws", "http", 1))
    assert answer.status_code == 426
    assert answer.text.endswith(f"the page is at {server.web_url}/\n")
