"""HAProxy, nginx and Caddy work with the configurations of deploy/, in front of two servers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import httpx_sse
import pytest
import pytest_asyncio
import websockets

from tests.cluster import proxies
from tests.cluster.process import Process, rtdemo

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO = "producers=welcome,echo"
"""No message comes between a text and its echo."""


class Deployed(NamedTuple):
    """Two servers behind a proxy."""

    proxy: Process
    servers: list[Process]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=proxies.IN_CI)
async def deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployed]:
    """Once for each proxy: the tests that kill servers are the last ones."""
    folder = tmp_path_factory.mktemp("deployed")
    servers = [rtdemo(folder, name, "--without", "broadcast") for name in ("one", "two")]
    for server in servers:
        await server.start()
    proxy = proxies.PROXIES[request.param](folder, [server.port for server in servers])
    await proxy.start()
    yield Deployed(proxy, servers)
    await proxy.stop()
    for server in servers:
        await server.kill()


@pytest.fixture
def proxy(deployed: Deployed) -> Process:
    return deployed.proxy


async def test_messages_come_as_they_are_sent(proxy: Process) -> None:
    """Over both transports the welcome arrives at once, and an echo follows each text."""
    async with websockets.connect(f"{proxy.url.replace('http', 'ws')}/ws?{ECHO}") as socket:
        assert json.loads(await socket.recv())["message"] == "WebSocket connection established"
        await socket.send("hello")
        assert json.loads(await socket.recv())["message"] == "Echo: hello"
    async with (
        httpx.AsyncClient(base_url=proxy.url) as http,
        httpx_sse.aconnect_sse(http, "GET", f"/api/sse?{ECHO}") as stream,
    ):
        events = stream.aiter_sse()
        welcome = (await anext(events)).json()
        assert welcome["message"] == "SSE connection established"
        # Several: each must reach the server that has the stream.
        for number in range(4):
            response = await http.post(f"/api/messages?client={welcome['client']}", content=str(number))
            assert response.status_code == 202
            assert (await anext(events)).json()["message"] == f"Echo: {number}"


async def test_page_is_served_through_the_proxy(proxy: Process) -> None:
    async with httpx.AsyncClient(base_url=proxy.url) as http:
        page = await http.get("/")
        url = page.text.partition('src="')[2].partition('"')[0]
        script = await http.get(url)
        publish = await http.post("/api/publish", json={"message": "x"})
    assert (page.status_code, script.status_code) == (200, 200)
    assert re.fullmatch(r"static/[0-9a-f]{12}/joined\.js", url)
    assert script.headers["Content-Encoding"] == "gzip"
    assert "immutable" in script.headers["Cache-Control"]
    # A client of a proxy on the same host is not a local user.
    assert publish.status_code == 403


async def test_clients_of_a_dead_server_reach_the_other(deployed: Deployed) -> None:
    """After one server was killed, every new client is served."""
    await deployed.servers[0].kill()
    for _ in range(6):
        async with websockets.connect(f"{deployed.proxy.url.replace('http', 'ws')}/ws") as socket:
            assert "established" in await socket.recv()


async def test_event_stream_gets_no_status_while_all_servers_are_away(deployed: Deployed) -> None:
    """After one, a browser's EventSource would never try again. Other requests get their 502 or 503."""
    for server in deployed.servers:
        await server.kill()
    # Caddy looks for a server for 10 s.
    async with httpx.AsyncClient(base_url=deployed.proxy.url, timeout=30) as http:
        await asyncio.gather(is_answered_with_an_error(http), is_cut_without_an_answer(http))


async def is_answered_with_an_error(http: httpx.AsyncClient) -> None:
    while (await http.get("/")).status_code not in (502, 503):
        pass


async def is_cut_without_an_answer(http: httpx.AsyncClient) -> None:
    # HAProxy takes 2 s to find out that a server is gone.
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        while True:
            answer = await http.get("/api/sse", headers={"Accept": "text/event-stream"})
            assert answer.status_code == 503
            await asyncio.sleep(0.1)
