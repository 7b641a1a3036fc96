"""examples/poll_http.py: what changes behind a URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtdemo.server.server import Server
from tests.clients import Fields, Peer, eventually
from tests.conftest import Connect
from tests.examples.conftest import Serve

Poll = Callable[..., Awaitable[tuple[Server, Peer, int]]]


class Endpoint:
    """An HTTP server that a test changes.

    Attributes:
        tagged: whether its answers have an ETag.
        trouble: the status that it answers with instead of its text, if any.
        hangs: whether it takes a request and never answers.
        answers: the status of each answer.
        ports: those that requests came from.
    """

    def __init__(self) -> None:
        self.text = "before"
        self.tagged = self.hangs = False
        self.trouble: int | None = None
        self.answers: list[int] = []
        self.ports: set[int] = set()

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.ports.add(request.transport.get_extra_info("peername")[1])
        if self.hangs:
            await asyncio.Event().wait()
        etag = f'"{self.text}"' if self.tagged else ""
        unchanged = bool(etag) and request.headers.get("If-None-Match") == etag
        status = self.trouble or (304 if unchanged else 200)
        self.answers.append(status)
        headers = {"ETag": etag} if etag else {}
        return web.Response(status=status, text="" if unchanged else self.text, headers=headers)

    async def asked(self, times: int) -> None:
        """Wait until it was asked so many times more."""
        target = len(self.answers) + times
        await eventually(lambda: len(self.answers) >= target)


@pytest.fixture
async def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
async def poll(endpoint: Endpoint, serve: Serve, connect: Connect) -> AsyncIterator[Poll]:
    """Serve the example, and read until a client has the text `zero`; return that one's `seq`."""
    app = web.Application()
    app.router.add_get("/", endpoint.answer)
    async with TestServer(app) as http:

        async def polled(**settings: Any) -> tuple[Server, Peer, int]:
            server = await serve("poll_http", URL=http.make_url("/"), EVERY=0.001, **settings)
            peer = await connect(server, "sse", "producers=poll_http")
            endpoint.text = "zero"
            return server, peer, (await until(peer, "zero"))["seq"]

        yield polled


async def until(peer: Peer, text: str) -> Fields:
    """Read until a text comes."""
    while (message := await peer.receive())["message"] != text:
        pass
    return message


@pytest.mark.parametrize("tagged", [True, False])
async def test_only_changes_are_sent_over_one_connection(
    endpoint: Endpoint, poll: Poll, tagged: bool
) -> None:
    """With an ETag the endpoint says so itself; without one the texts are compared."""
    endpoint.tagged = tagged
    _, peer, seq = await poll()
    await endpoint.asked(5)
    endpoint.text = "one"
    change = await peer.receive()
    assert (change["message"], change["seq"]) == ("one", seq + 1)
    await endpoint.asked(5)
    assert len(endpoint.ports) == 1
    assert endpoint.answers[-3:] == [304 if tagged else 200] * 3


@pytest.mark.parametrize(
    ("trouble", "told"),
    [({"trouble": 503}, "503"), ({"text": "x" * 70_000}, "ValueError")],
)
async def test_trouble_is_told_once_and_the_return_too(
    endpoint: Endpoint, poll: Poll, trouble: dict[str, Any], told: str
) -> None:
    """An outage is a change as well; how long it lasts does not matter."""
    server, peer, seq = await poll()
    vars(endpoint).update(trouble)
    assert (await peer.receive())["message"] == f"not available: {told}"
    await endpoint.asked(25)
    endpoint.trouble, endpoint.text = None, "zero"
    back = await peer.receive()
    assert (back["message"], back["seq"]) == ("zero", seq + 2)
    (account,) = server.plugins.registry.find("poll_http")
    assert (account.state, account.failures) == ("running", 0)


async def test_answer_that_does_not_come_is_given_up(endpoint: Endpoint, poll: Poll) -> None:
    """One request that hangs holds up neither the server nor the next poll."""
    _, peer, _ = await poll(TIMEOUT=0.2)
    endpoint.hangs = True
    await until(peer, "not available: TimeoutError")
    endpoint.hangs = False
    await until(peer, "zero")


async def test_who_comes_later_gets_the_latest(endpoint: Endpoint, poll: Poll, connect: Connect) -> None:
    """A value that seldom changes is there at connect."""
    server, _, _ = await poll()
    peer = await connect(server, "websocket", "producers=poll_http_latest")
    assert (await peer.receive())["message"] == "zero"


async def test_nothing_is_left_open(endpoint: Endpoint, poll: Poll) -> None:
    """The HTTP session ends with the server."""
    server, _, _ = await poll()
    await server.stop()
    await eventually(lambda: not any("Supervisor.stream" in repr(task) for task in asyncio.all_tasks()))
