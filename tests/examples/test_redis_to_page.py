"""examples/redis_to_page.py: from a Redis channel to the page."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.clients import eventually
from tests.conftest import Connect
from tests.examples.conftest import Serve, is_generator_running
from tests.examples.resp import RespServer, resp_server

PICK = "producers=redis_to_page"
UNAVAILABLE = "Redis is unavailable (ConnectionError); retry in"


@pytest.fixture
async def redis() -> AsyncIterator[RespServer]:
    async with resp_server() as server:
        yield server


async def test_published_text_reaches_everyone(
    serve: Serve, connect: Connect, redis: RespServer, transport: str
) -> None:
    """One subscription serves every client over both transports; other channels are not sent."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}", CHANNEL="news")
    peers = [await connect(server, t, PICK) for t in (transport, "sse", "websocket")]
    await eventually(lambda: redis.subscribers)
    redis.publish("rumours", "psst")
    redis.publish("news", "grün ✓\nline 2")
    for peer in peers:
        message = await peer.receive()
        assert (message["message"], message["producer"]) == ("grün ✓\nline 2", "redis_to_page")
    assert redis.connected == 1


async def test_text_that_is_not_utf8_is_sent_with_replacements(
    serve: Serve, connect: Connect, redis: RespServer
) -> None:
    """Bytes that are not UTF-8 are replaced, and do not end the subscription."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}")
    peer = await connect(server, "sse", PICK)
    await eventually(lambda: redis.subscribers)
    redis.publish("rtdemo", b"caf\xe9")
    assert (await peer.receive())["message"] == "caf\ufffd"


async def test_cut_connection_is_reopened(serve: Serve, connect: Connect, redis: RespServer) -> None:
    """A message reports the outage, and later publications arrive."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}", RETRY=0.001)
    peer = await connect(server, "websocket", PICK)
    for text in ("one", "two"):
        await eventually(lambda: redis.subscribers)
        redis.cut()
        assert (await peer.receive())["message"] == f"{UNAVAILABLE} 0.001 s", (
            "each outage begins with the first wait"
        )
        await eventually(lambda: redis.subscribers)
        redis.publish("rtdemo", text)
        assert (await peer.receive())["message"] == text


async def test_retries_back_off(serve: Serve, connect: Connect, redis: RespServer) -> None:
    """Each wait is twice the one before; an outage is no failure of the producer."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}", RETRY=0.001)
    peer = await connect(server, "websocket", PICK)
    await eventually(lambda: redis.subscribers)
    await redis.stop()
    waits = [(await peer.receive())["message"].removeprefix(UNAVAILABLE) for _ in range(4)]
    assert waits == [" 0.001 s", " 0.002 s", " 0.004 s", " 0.008 s"]
    await redis.start()
    await eventually(lambda: redis.subscribers)
    redis.publish("rtdemo", "back")
    while (message := await peer.receive())["message"].startswith(UNAVAILABLE):
        pass
    assert message["message"] == "back"
    (supervisor,) = server.plugins.registry.find("redis_to_page")
    assert (supervisor.state, supervisor.failures) == ("running", 0)


async def test_password_is_sent_and_never_shown(
    serve: Serve, connect: Connect, redis: RespServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Redis gets the password of the URL; logs, messages and API do not contain it."""
    caplog.set_level(logging.DEBUG, "rtdemo")
    url = f"redis://:s3cret@127.0.0.1:{redis.port}"
    server = await serve("redis_to_page", URL=url, RETRY=0.001)
    peer = await connect(server, "sse", PICK)
    await eventually(lambda: redis.subscribers)
    assert redis.commands[0] == ["HELLO", "3", "AUTH", "default", "s3cret"]
    await redis.stop()
    assert "s3cret" not in (await peer.receive())["message"]
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        for path in ("/api/plugins", "/api/producers"):
            assert "s3cret" not in (await http.get(path)).text
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(vars(server.plugins.plugins[-1]))


async def test_generator_ends_with_the_server(serve: Serve, redis: RespServer) -> None:
    """The subscription and the generator end when the server stops."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}")
    await eventually(lambda: redis.subscribers)
    assert is_generator_running()
    await server.stop()
    await eventually(lambda: not redis.subscribers)
    await eventually(lambda: not is_generator_running())
