"""examples/redis_to_page.py: from a Redis channel to the page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.clients import eventually
from tests.conftest import Connect
from tests.examples.conftest import Serve
from tests.examples.resp import RespServer, resp_server

PICK = "producers=redis_to_page"
AWAY = "Redis is unavailable (ConnectionError); retry in"


@pytest.fixture
async def redis() -> AsyncIterator[RespServer]:
    async with resp_server() as server:
        yield server


async def test_published_text_reaches_everyone(
    serve: Serve, connect: Connect, redis: RespServer, transport: str
) -> None:
    """One subscription feeds every client, over both transports; other channels do not."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}", CHANNEL="news")
    peers = [await connect(server, t, PICK) for t in (transport, "sse", "websocket")]
    await eventually(lambda: redis.subscribers)
    redis.publish("rumours", "psst")
    redis.publish("news", "grün ✓\nline 2")
    for peer in peers:
        message = await peer.receive()
        assert (message["message"], message["producer"]) == ("grün ✓\nline 2", "redis_to_page")
    assert redis.connected == 1


async def test_text_that_is_not_utf8_is_shown_all_the_same(
    serve: Serve, connect: Connect, redis: RespServer
) -> None:
    """Anyone may publish anything; it does not end the subscription."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}")
    peer = await connect(server, "sse", PICK)
    await eventually(lambda: redis.subscribers)
    redis.publish("rtdemo", b"caf\xe9")
    assert (await peer.receive())["message"] == "caf\ufffd"


async def test_connection_that_is_cut_is_made_again(
    serve: Serve, connect: Connect, redis: RespServer
) -> None:
    """The page is told, and what is published afterwards arrives."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}", RETRY=0.001)
    peer = await connect(server, "websocket", PICK)
    for text in ("one", "two"):
        await eventually(lambda: redis.subscribers)
        redis.cut()
        assert (await peer.receive())["message"] == f"{AWAY} 0.001 s", "it begins anew each time"
        await eventually(lambda: redis.subscribers)
        redis.publish("rtdemo", text)
        assert (await peer.receive())["message"] == text


async def test_server_that_is_away_is_asked_ever_more_seldom(
    serve: Serve, connect: Connect, redis: RespServer
) -> None:
    """Each wait is twice as long as the one before; an outage is no failure of the producer."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}", RETRY=0.001)
    peer = await connect(server, "websocket", PICK)
    await eventually(lambda: redis.subscribers)
    await redis.stop()
    waits = [(await peer.receive())["message"].removeprefix(AWAY) for _ in range(4)]
    assert waits == [" 0.001 s", " 0.002 s", " 0.004 s", " 0.008 s"]
    await redis.start()
    await eventually(lambda: redis.subscribers)
    redis.publish("rtdemo", "back")
    while (message := await peer.receive())["message"].startswith(AWAY):
        pass
    assert message["message"] == "back"
    (account,) = server.plugins.registry.find("redis_to_page")
    assert (account.state, account.failures) == ("running", 0)


async def test_password_is_sent_and_never_shown(
    serve: Serve, connect: Connect, redis: RespServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The URL is a secret: Redis gets the password; logs, page and API do not."""
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


async def test_nothing_is_left_open(serve: Serve, redis: RespServer) -> None:
    """The subscription ends with the server."""
    server = await serve("redis_to_page", URL=f"redis://127.0.0.1:{redis.port}")
    await eventually(lambda: redis.subscribers)
    await server.stop()
    await eventually(lambda: not redis.subscribers)
    await eventually(lambda: not any("Supervisor.stream" in repr(task) for task in asyncio.all_tasks()))
