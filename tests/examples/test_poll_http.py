"""examples/poll_http.py: send the body of a URL when it changes."""

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
from tests.examples.conftest import Serve, is_generator_running

Poll = Callable[..., Awaitable[tuple[Server, Peer, int]]]


class Endpoint:
    """The handler of an HTTP server, which a test controls.

    Attributes:
        text: the body of its responses.
        tagged: whether its responses have an ETag.
        error_status: status of its responses instead of 200; None for none.
        hangs: whether it never responds.
        answers: the status of each response so far.
        ports: the clients' ports, one per connection.
    """

    def __init__(self) -> None:
        self.text = "before"
        self.tagged = self.hangs = False
        self.error_status: int | None = None
        self.answers: list[int] = []
        self.ports: set[int] = set()

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.ports.add(request.transport.get_extra_info("peername")[1])
        if self.hangs:
            await asyncio.Event().wait()
        etag = f'"{self.text}"' if self.tagged else ""
        unchanged = bool(etag) and request.headers.get("If-None-Match") == etag
        status = self.error_status or (304 if unchanged else 200)
        self.answers.append(status)
        headers = {"ETag": etag} if etag else {}
        return web.Response(status=status, text="" if unchanged else self.text, headers=headers)

    async def asked(self, times: int) -> None:
        """Wait until it has responded so many more times."""
        target = len(self.answers) + times
        await eventually(lambda: len(self.answers) >= target)


@pytest.fixture
async def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
async def poll(endpoint: Endpoint, serve: Serve, connect: Connect) -> AsyncIterator[Poll]:
    """Serve the example, and read until a client gets the text `zero`; return its `seq` too."""
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
    """Read until a message has this text; return it."""
    while (message := await peer.receive())["message"] != text:
        pass
    return message


@pytest.mark.parametrize("tagged", [True, False])
async def test_only_changes_are_sent_over_one_connection(
    endpoint: Endpoint, poll: Poll, tagged: bool
) -> None:
    """With an ETag the endpoint answers 304; without one the example compares the texts."""
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
    ("change", "problem"),
    [({"error_status": 503}, "503"), ({"text": "x" * 70_000}, "ValueError")],
)
async def test_outage_is_sent_once_and_its_end_too(
    endpoint: Endpoint, poll: Poll, change: dict[str, Any], problem: str
) -> None:
    """An outage is one message however long it lasts; it is no failure of the producer."""
    server, peer, seq = await poll()
    vars(endpoint).update(change)
    assert (await peer.receive())["message"] == f"not available: {problem}"
    await endpoint.asked(25)
    endpoint.error_status, endpoint.text = None, "zero"
    message = await peer.receive()
    assert (message["message"], message["seq"]) == ("zero", seq + 2)
    (supervisor,) = server.plugins.registry.find("poll_http")
    assert (supervisor.state, supervisor.failures) == ("running", 0)


async def test_request_that_hangs_times_out(endpoint: Endpoint, poll: Poll) -> None:
    """The timeout is a message, and the next poll follows."""
    _, peer, _ = await poll(TIMEOUT=0.2)
    endpoint.hangs = True
    await until(peer, "not available: TimeoutError")
    endpoint.hangs = False
    await until(peer, "zero")


async def test_later_client_gets_the_latest(endpoint: Endpoint, poll: Poll, connect: Connect) -> None:
    """A client that asks for it gets the latest text at connect, without waiting for a change."""
    server, _, _ = await poll()
    peer = await connect(server, "websocket", "producers=poll_http&latest=1")
    assert (await peer.receive())["message"] == "zero"


async def test_generator_ends_with_the_server(endpoint: Endpoint, poll: Poll) -> None:
    """The generator, and so its HTTP session, ends when the server stops."""
    server, _, _ = await poll()
    assert is_generator_running()
    await server.stop()
    await eventually(lambda: not is_generator_running())
