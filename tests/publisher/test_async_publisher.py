"""`AsyncPublisher`: each call waits for its own answer, and calls share requests."""

from __future__ import annotations

import asyncio

import pytest

from rtdemo import AsyncPublisher
from rtdemo.errors import PublishError
from rtdemo.server.server import Server
from tests.conftest import Connect, Start


async def test_call_returns_the_position(server: Server, connect: Connect) -> None:
    """It is that of the message in the log."""
    peer = await connect(server, "sse")
    async with AsyncPublisher(server.web_url) as publisher:
        position = await publisher.publish("loss", 0.25, "a quarter")
    got = await peer.receive()
    assert (got["id"], got["value"], got["message"]) == (position, 0.25, "a quarter")


async def test_many_calls_share_requests(server: Server) -> None:
    """A thousand calls at once are published once each, in the order of the calls."""
    async with AsyncPublisher(server.web_url) as publisher:
        found = await asyncio.gather(*(publisher.publish("x", number) for number in range(1000)))
    offsets = [int(position.rpartition("-")[2]) for position in found]
    assert offsets == list(range(1, 1001))


async def test_refusal_is_raised_for_its_call_only(server: Server) -> None:
    """The error names the server and the reason."""
    async with AsyncPublisher(server.web_url) as publisher:
        calls = [publisher.publish(name, 1) for name in ("a", "message", "b")]
        found = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(found[1], PublishError)
    assert "answered 409" in str(found[1])
    assert isinstance(found[0], str)
    assert isinstance(found[2], str)


async def test_token_is_taken_from_the_environment(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is the address."""
    server = await start(publish_token="s3cret")
    monkeypatch.setenv("RTDEMO_URL", server.web_url)
    monkeypatch.setenv("RTDEMO_PUBLISH_TOKEN", "s3cret")
    async with AsyncPublisher() as publisher:
        assert await publisher.publish("x", 1)


async def test_close_ends_calls_that_wait() -> None:
    """They raise; nothing hangs."""
    publisher = AsyncPublisher("http://127.0.0.1:9")
    call = asyncio.ensure_future(publisher.publish("x", 1))
    await asyncio.sleep(0)
    await publisher.close()
    with pytest.raises(PublishError, match="closed; the message may not have been sent"):
        await call


async def test_cancelled_call_holds_no_message() -> None:
    """A call with a timeout that has passed is not sent, and leaves its room to others."""
    async with AsyncPublisher("http://127.0.0.1:9") as publisher:
        first = asyncio.ensure_future(publisher.publish("x", "first"))
        await asyncio.sleep(0)
        for _ in range(20):
            call = asyncio.ensure_future(publisher.publish("x", "y" * 60_000))
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait({call})
        assert (len(publisher._waiting), publisher._bytes) == (0, 0)
    with pytest.raises(PublishError):
        await first


async def test_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """A call beyond them waits before it joins the others; all are sent in the order of the calls."""
    monkeypatch.setattr("rtdemo.publisher.asynchronous.MAX_WAITING_BYTES", 5000)
    async with AsyncPublisher(server.web_url) as publisher:
        calls = [asyncio.ensure_future(publisher.publish("x", "y" * 900)) for _ in range(40)]
        seen = []
        for _ in range(5):
            await asyncio.sleep(0)
            seen.append(publisher._bytes)
        assert 0 < max(seen) <= 5000
        found = await asyncio.gather(*calls)
    assert [int(position.rpartition("-")[2]) for position in found] == list(range(1, 41))


async def test_error_of_the_program_is_raised_for_its_calls_only(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing hangs, and the next call is sent."""
    async with AsyncPublisher(server.web_url) as publisher:
        with monkeypatch.context() as patch:
            patch.setattr("asyncio.to_thread", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await publisher.publish("x", 1)
        assert await publisher.publish("x", 2)
