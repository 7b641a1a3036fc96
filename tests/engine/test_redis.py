"""Several servers on one Redis, and what happens when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rtdemo.engine.log import Limits
from rtdemo.engine.redis import RedisEngine
from rtdemo.errors import EngineError, NotLeading, Unavailable
from rtdemo.position import Position
from tests.engine.conftest import Listening, Make, drafts
from tests.peers import eventually
from tests.redis_server import RedisServer, free_port


async def published(listening: Listening, *texts: str) -> list[Position]:
    """Publish as a patient client would: again until it is taken, under one key."""
    while True:
        try:
            return await listening.say(*texts, key="/".join(texts))
        except Unavailable:
            await asyncio.sleep(0.01)


async def test_servers_share_one_log(join: Make) -> None:
    """All get everything in the same order; one that comes later has the history at once."""
    first, second = await join(), await join()
    await asyncio.gather(*(who.say(f"{n}") for n in range(30) for who in (first, second)))
    await eventually(lambda: len(first.got) == len(second.got) == 60)
    assert first.got == second.got
    third = await join()
    assert third.got == []
    log = third.engine.log
    assert log.after(log.last.offset - 60, 100) == first.got
    assert log.seq("news") == 60


async def test_prefixes_keep_deployments_apart(join: Make) -> None:
    """On one Redis, neither messages nor numbers nor the lease are shared."""
    one, other = await join("one"), await join("other")
    await one.say("x")
    await other.say("y")
    await eventually(lambda: one.leads and other.leads)
    await eventually(lambda: one.got and other.got)
    assert [made.seq for made in one.got + other.got] == [1, 1]
    assert one.ids != other.ids


async def test_restart_with_its_data_loses_nothing(join: Make, redis_server: RedisServer) -> None:
    """What was published before and after comes once, in order, to every server."""
    first, second = await join(), await join()
    await first.say("1", "2")
    await redis_server.stop()
    await eventually(lambda: "away" in first.engine.state and "away" in second.engine.state)
    with pytest.raises(Unavailable, match="away"):
        await first.say("lost")
    await redis_server.start()
    await published(second, "3")
    await eventually(lambda: len(first.got) == len(second.got) == 3)
    assert first.ids == second.ids
    assert (first.restarts, second.restarts) == (0, 0)


async def test_flushed_redis_is_a_new_log(join: Make, redis_server: RedisServer) -> None:
    """Every server tells its clients, and goes on with the new one."""
    first, second = await join(), await join()
    (before,) = await first.say("1")
    await eventually(lambda: first.got and second.got)
    await redis_server.stop()
    redis_server.forget()
    await redis_server.start()
    (after,) = await published(first, "2")
    assert after.epoch != before.epoch
    await eventually(lambda: first.restarts == second.restarts == 1)
    await eventually(lambda: len(first.got) == len(second.got) == 2)
    assert first.got == second.got


async def test_flush_while_connected_is_noticed(join: Make, redis_server: RedisServer) -> None:
    """Nothing breaks then, so it is looked for."""
    listening = await join()
    await listening.say("1")
    await eventually(lambda: listening.got)
    engine = listening.engine
    assert isinstance(engine, RedisEngine)
    await engine._commands.flushall()
    await eventually(lambda: listening.restarts == 1)
    (position,) = await listening.say("2")
    await eventually(lambda: len(listening.got) == 2)
    assert listening.got[-1].position == position


async def test_older_state_never_gives_an_offset_twice(join: Make, redis_server: RedisServer) -> None:
    """Restored from a backup of before, the log gets a new epoch."""
    listening = await join()
    await listening.say("1")
    await eventually(lambda: listening.got)
    engine = listening.engine
    assert isinstance(engine, RedisEngine)
    keys = engine._keys
    await listening.say("2")
    await eventually(lambda: len(listening.got) == 2)
    await engine._commands.hset(keys.meta, "offset", 1)
    await engine._commands.xdel(keys.log, "2-0")
    (position,) = await listening.say("3")
    assert position.epoch != listening.got[0].position.epoch
    await eventually(lambda: listening.restarts == 1)


async def test_server_that_fell_behind_the_log_is_told(join: Make) -> None:
    """What was trimmed while it could not read is lost to it, and it says so."""
    small = Limits(count=5)
    writer, reader = await join(limits=small), await join(limits=small)
    engine = reader.engine
    assert isinstance(engine, RedisEngine)
    await writer.say("0")
    await eventually(lambda: reader.got)
    engine._tasks[0].cancel()
    await asyncio.wait({engine._tasks[0]})
    await writer.say(*map(str, range(1, 20)))
    engine._tasks[0] = asyncio.ensure_future(engine._follow())
    await eventually(lambda: len(reader.got) == 6)
    assert reader.restarts == 1
    assert reader.ids[1:] == [str(made.position) for made in writer.got[-5:]]


async def test_log_in_redis_is_bounded_by_bytes_and_age_too(
    join: Make, redis_server: RedisServer
) -> None:
    """The oldest go; the newest stays however big it is."""
    listening = await join(limits=Limits(bytes=1000))
    for n in range(10):
        await listening.say(str(n) * 300)
    engine = listening.engine
    assert isinstance(engine, RedisEngine)
    assert 1 <= await engine._commands.xlen(engine._keys.log) <= 3
    await listening.say("x" * 5000)
    assert await engine._commands.xlen(engine._keys.log) == 1
    aged = await join("aged", limits=Limits(seconds=1), now=lambda: 1000.0)
    await aged.say("old")
    later = await join("aged", limits=Limits(seconds=1), now=lambda: 9000.0)
    await later.say("new")
    assert await engine._commands.xlen("{aged}:log") == 1


async def test_one_leads_and_another_takes_over(join: Make) -> None:
    """At once where the leader stops in order; a leader that only fell silent is fenced off."""
    first = await join()
    await eventually(lambda: first.leads)
    second = await join()
    with pytest.raises(NotLeading):
        await second.say("x", leading=True)
    engine = first.engine
    assert isinstance(engine, RedisEngine)
    # As if the process was paused: its heart stands still, and it still thinks that it leads.
    engine._tasks[2].cancel()
    await asyncio.wait({engine._tasks[2]})
    await eventually(lambda: second.leads)
    assert first.leading == [True]
    with pytest.raises(NotLeading):
        await first.say("twice", leading=True)
    assert first.leading == [True, False]
    await second.say("once", leading=True)
    await eventually(lambda: len(first.got) == 1)
    third = await join()
    await second.engine.close()
    await eventually(lambda: third.leads)


async def test_frozen_redis_is_told_within_two_seconds(join: Make, redis_server: RedisServer) -> None:
    """It keeps its connections and answers nothing; once it goes on, so does everything."""
    listening = await join()
    await listening.say("1")
    redis_server.freeze()
    async with asyncio.timeout(2):
        with pytest.raises(Unavailable):
            await listening.say("2")
    redis_server.thaw()
    await published(listening, "3")
    await eventually(lambda: listening.engine.state == "ready")
    assert listening.restarts == 0


async def test_leader_without_redis_stops_leading(join: Make, redis_server: RedisServer) -> None:
    """Before another could lead."""
    listening = await join()
    await eventually(lambda: listening.leads)
    await redis_server.stop()
    await eventually(lambda: not listening.leads)
    await redis_server.start()
    await eventually(lambda: listening.leads)


async def test_servers_know_of_each_other(join: Make) -> None:
    """Each tells what it likes; one that stops is gone from the list."""
    first, second = await join(), await join()
    engines = [listening.engine for listening in (first, second)]
    for engine in engines:
        assert isinstance(engine, RedisEngine)
        engine.heart.tell = lambda: {"websocket": 3}
        engine.heart._told = 0.0
    one, other = engines
    assert isinstance(one, RedisEngine)
    assert isinstance(other, RedisEngine)
    await eventually(lambda: one.heart.others.get(other.server) == {"websocket": 3})
    await other.close()
    one.heart._told = 0.0
    await eventually(lambda: list(one.heart.others) == [one.server])


async def test_full_queue_refuses_and_stopping_answers(join: Make) -> None:
    """Nobody waits for ever, and the queue is bounded."""
    listening = await join()
    answers = [listening.engine.publish(drafts("x")) for _ in range(1100)]
    results = await asyncio.gather(*answers, return_exceptions=True)
    refused = [result for result in results if isinstance(result, Unavailable)]
    assert len(refused) == 100
    left = listening.engine.publish(drafts("x"))
    await listening.engine.close()
    with pytest.raises(Unavailable, match="stopping"):
        await left


async def start_error(url: str) -> str:
    with pytest.raises(EngineError) as caught:
        engine = RedisEngine(url)
        try:
            await engine.reach()
        finally:
            await engine.close()
    line = str(caught.value)
    assert "\n" not in line
    assert "s3cret" not in line
    return line


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://localhost", "begin with redis://"),
        ("redis://:s3cret@localhost:x/0", "could not be cast"),
        ("redis://[::1", "cannot be read"),
        ("redis://u:s3cret@no-such-host.invalid/0", "engine-optional"),
        (f"redis://:s3cret@127.0.0.1:{free_port()}/0", "Connect call failed"),
    ],
)
async def test_start_says_in_one_line_what_is_wrong(url: str, words: str) -> None:
    """With the mend, and never with the password."""
    assert words in await start_error(url)


@asynccontextmanager
async def listener(answer: bytes | None) -> AsyncIterator[int]:
    """Something on a port that is no Redis: it answers rubbish, or nothing at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        if answer is not None:
            writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_start_at_what_is_no_redis() -> None:
    """A web server, and a black hole: one line within 5 s."""
    async with asyncio.timeout(5), listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "engine redis://127.0.0.1" in await start_error(f"redis://127.0.0.1:{port}/0")
    async with asyncio.timeout(5), listener(None) as port:
        assert "does not answer" in await start_error(f"redis://127.0.0.1:{port}/0")


async def test_start_without_the_password(tmp_path: Path) -> None:
    """It says how to give one."""
    server = RedisServer(tmp_path, "--requirepass", "right")
    await server.start()
    try:
        assert "redis://:PASSWORD@" in await start_error(server.url)
        wrong = server.url.replace("://", "://:s3cret@")
        assert "redis://:PASSWORD@" in await start_error(wrong)
    finally:
        await server.stop()
