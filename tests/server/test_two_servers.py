"""Two servers of one deployment, and their clients while Redis is unavailable."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from rtdemo.errors import EngineError
from rtdemo.server.server import Server
from rtdemo.testing import VirtualClock
from tests.clients import eventually
from tests.conftest import Connect, Start
from tests.free_port import free_port
from tests.redis_server import RedisServer, paused_reader

OTHER = {"websocket": "sse", "sse": "websocket"}


@pytest.fixture
async def pair(start: Start, redis_server: RedisServer) -> list[Server]:
    return [await start(engine=redis_server.url, without=()) for _ in range(2)]


async def publish(server: Server, text: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        return await http.post("/api/publish", json={"message": text}, headers={"Idempotency-Key": text})


async def publish_with_retry(server: Server, text: str) -> None:
    """Publish; retry while the server answers 503."""
    while (await publish(server, text)).status_code == 503:
        await asyncio.sleep(0.01)


async def shared(peer: Any, count: int) -> list[str]:
    got: list[str] = []
    while len(got) < count:
        message = await peer.receive()
        if "id" in message:
            got.append(message["message"])
    return got


async def test_clients_of_both_servers_get_the_same(
    pair: list[Server], connect: Connect, transport: str
) -> None:
    """Every client gets each message once, and a client that changes servers resumes."""
    one, other = pair
    peers = [await connect(one, transport), await connect(other, transport)]
    for server, text in ((one, "1"), (other, "2")):
        await publish_with_retry(server, text)
    assert [await shared(peer, 2) for peer in peers] == [["1", "2"]] * 2
    last = one.hub.engine.log.last
    await peers[0].leave()
    await publish_with_retry(one, "3")
    moved = await connect(other, OTHER[transport], f"last_event_id={last}")
    assert await shared(moved, 1) == ["3"]


async def test_shared_producers_run_once(
    pair: list[Server], connect: Connect, clock: VirtualClock
) -> None:
    """The leader's broadcast reaches all clients; after the leader stopped, the count continues."""
    await eventually(lambda: any(server.hub.shared.leading for server in pair))
    leader, other = sorted(pair, key=lambda server: not server.hub.shared.leading)
    peers = [await connect(server, "sse") for server in pair]
    clock.advance(5)
    assert [await shared(peer, 1) for peer in peers] == [["Global broadcast #1"]] * 2
    stayed = await connect(other, "websocket")
    await leader.stop()
    await eventually(lambda: other.hub.shared.leading)
    clock.advance(5)
    assert await shared(stayed, 1) == ["Global broadcast #2"]


async def test_position_ahead_of_a_server_s_copy_resumes_later(
    pair: list[Server], connect: Connect, transport: str
) -> None:
    """A client that comes from a faster server gets no loss notice and nothing twice."""
    one, other = pair
    async with paused_reader(other.hub.engine):
        await publish_with_retry(one, "1")
        await eventually(lambda: one.hub.engine.log.last.offset == 1)
        assert other.hub.engine.log.last.offset == 0
        peer = await connect(other, transport, f"last_event_id={one.hub.engine.log.last}")
    await publish_with_retry(one, "2")
    assert await shared(peer, 1) == ["2"]


async def test_position_that_exists_nowhere_gets_a_loss_notice(
    pair: list[Server], connect: Connect, redis_server: RedisServer, transport: str
) -> None:
    """A position of the future or of another log, also if it is claimed while Redis is unavailable."""
    one, _ = pair
    await publish_with_retry(one, "1")
    epoch = one.hub.engine.log.last.epoch
    claims = [f"{epoch}-9999", "ff-3"]
    peers = [await connect(one, transport, f"last_event_id={claim}") for claim in claims]
    await redis_server.stop()
    await eventually(lambda: "unavailable" in one.hub.engine.state)
    peers += [await connect(one, transport, f"last_event_id={claim}") for claim in claims]
    gone = await connect(one, transport, f"last_event_id={claims[0]}")
    await gone.leave()
    await redis_server.start()
    for peer in peers:
        notice = await peer.receive()
        assert (notice["producer"], notice["lost"]) == ("resume", True)
    await publish_with_retry(one, "2")
    assert [await shared(peer, 1) for peer in peers] == [["2"]] * 4
    assert one.hub.unverified == 0


async def test_client_with_a_position_of_the_new_log_gets_no_loss_notice(
    pair: list[Server], connect: Connect, redis_server: RedisServer, transport: str
) -> None:
    """It connects to a server that has not seen the flush yet, and gets nothing twice."""
    one, other = pair
    await publish_with_retry(one, "old")
    await eventually(lambda: [server.hub.engine.log.last.offset for server in pair] == [1, 1])
    async with paused_reader(other.hub.engine), redis_server.client() as redis:
        await redis.flushall()
        await eventually(lambda: one.hub.engine.log.last.offset == 0)
        await publish_with_retry(one, "1")
        await eventually(lambda: one.hub.engine.log.last.offset == 1)
        peer = await connect(other, transport, f"last_event_id={one.hub.engine.log.last}")
    await publish_with_retry(one, "2")
    assert await shared(peer, 1) == ["2"]


async def test_private_messages_continue_while_redis_is_unavailable(
    pair: list[Server], connect: Connect, clock: VirtualClock, redis_server: RedisServer, transport: str
) -> None:
    """Publishing is refused with Retry-After; once Redis is back, clients have missed nothing."""
    one, _ = pair
    peer = await connect(one, transport)
    await publish_with_retry(one, "1")
    assert await shared(peer, 1) == ["1"]
    await redis_server.stop()
    refused = await publish(one, "2")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    async with httpx.AsyncClient(base_url=one.web_url) as http:
        ready = await http.get("/readyz")
    assert ready.status_code == 200
    assert "redis is unavailable" in ready.text
    clock.advance(2)
    assert (await peer.receive())["producer"] == "message"
    late = await connect(one, transport, f"last_event_id={one.hub.engine.log.last}")
    await redis_server.start()
    await publish_with_retry(one, "2")
    assert await shared(peer, 1) == ["2"]
    assert await shared(late, 1) == ["2"]


async def test_redis_that_refuses_writes_is_reported(
    pair: list[Server], redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """By every server, also without publications; each logs it once, until Redis accepts a write."""

    async def states() -> list[str]:
        found = []
        for server in pair:
            async with httpx.AsyncClient(base_url=server.web_url) as http:
                found.append((await http.get("/readyz")).text)
                found.append((await http.get("/api/stats")).json()["log"]["state"])
        return found

    async with Redis.from_url(redis_server.url) as redis:
        await redis.config_set("min-replicas-to-write", 1)
        while not all("redis refuses writes: " in state for state in await states()):
            await asyncio.sleep(0.05)
        assert (await publish(pair[0], "1")).status_code == 503
        warned = [line.getMessage() for line in caplog.records if "refuses" in line.getMessage()]
        assert len(warned) == 2
        assert "script" not in warned[0]
        await redis.config_set("min-replicas-to-write", 0)
    await publish_with_retry(pair[0], "1")
    while await states() != ["ok\n", "ready"] * 2:
        await asyncio.sleep(0.05)


async def test_every_client_gets_a_loss_notice_when_redis_was_flushed(
    pair: list[Server], connect: Connect, redis_server: RedisServer, transport: str
) -> None:
    """One message with lost; then the client gets what follows."""
    peers = [await connect(server, transport) for server in pair]
    await publish_with_retry(pair[0], "1")
    assert [await shared(peer, 1) for peer in peers] == [["1"]] * 2
    await redis_server.stop()
    redis_server.forget()
    await redis_server.start()
    await publish_with_retry(pair[0], "2")
    for peer in peers:
        notice = await peer.receive()
        assert (notice["producer"], notice["lost"]) == ("resume", True)
        assert await shared(peer, 1) == ["2"]


async def test_statistics_count_every_server(pair: list[Server], connect: Connect) -> None:
    """Every server reports the connections of both and their sum."""
    for server in pair:
        await connect(server, "sse")
    for server in pair:
        async with httpx.AsyncClient(base_url=server.web_url) as http:

            async def servers() -> Any:
                return (await http.get("/api/stats")).json()["servers"]

            while (await servers())["connections"] != {"websocket": 0, "sse": 2}:
                server.hub.engine.lease.reported_at = 0.0  # type: ignore[attr-defined]  # a Redis engine's
                await asyncio.sleep(0.01)
            assert (await servers())["count"] == 2


async def run(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtdemo", "--port", "0", "--single-site", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    started = await process.stdout.readline()
    if started:
        process.terminate()
    _, err = await process.communicate()
    return process.returncode, err.decode()


async def test_start_without_redis(start: Start) -> None:
    """One line without the password and exit code 1; an optional engine lets the server start alone."""
    url = f"redis://:s3cret@127.0.0.1:{free_port()}/0"
    code, err = await run("--engine", url)
    assert (code, err.count("\n")) == (1, 1)
    assert "--engine-optional" in err
    code, warned = await run("--engine", url, "--engine-optional")
    assert code == 0
    assert "shared messages are kept in this server's memory only" in warned
    assert "s3cret" not in err + warned


@pytest.mark.parametrize("holds", ["nothing", "a log"])
async def test_start_on_a_read_only_redis(redis_server: RedisServer, start: Start, holds: str) -> None:
    """A read-only replica is no engine, with or without a log; optional, the server starts alone."""
    if holds == "a log":
        await publish_with_retry(await start(engine=redis_server.url), "1")
    async with Redis.from_url(redis_server.url) as redis:
        await redis.replicaof("127.0.0.1", free_port())
    with pytest.raises(EngineError, match="read only"):
        await start(engine=redis_server.url)
    server = await start(engine=redis_server.url, engine_optional=True)
    assert server.hub.engine.name == "memory"
    assert (await publish(server, "1")).status_code == 200
