"""Several servers on one Redis, and what happens when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rtdemo.engine.log import LogLimits
from rtdemo.engine.redis.engine import RedisEngine
from rtdemo.engine.redis.lease import PRESENCE_S
from rtdemo.errors import EngineError, NotLeading, Unavailable
from rtdemo.protocol.message import Position
from tests.certificate import self_signed
from tests.clients import eventually
from tests.engine.conftest import Listening, Make, drafts
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


async def test_offsets_that_were_given_twice_are_told_to_everyone(
    join: Make, redis_server: RedisServer
) -> None:
    """Redis comes back from an older state, and one who was not there goes on with the same offsets.

    Who had the other messages there finds out, and everybody is told.
    """
    ahead = await join()
    await ahead.say("1", "2")
    await eventually(lambda: len(ahead.got) == 2)
    backup = redis_server.backup()
    await ahead.say("3", "4")
    await eventually(lambda: len(ahead.got) == 4)
    await redis_server.stop()
    await eventually(lambda: "away" in ahead.engine.state)
    engine = ahead.engine
    assert isinstance(engine, RedisEngine)
    # It is not the first to find Redis back.
    engine._tasks[0].cancel()
    await asyncio.wait({engine._tasks[0]})
    redis_server.restore(backup)
    await redis_server.start()
    fresh = await join()
    assert fresh.engine.log.last.offset == 2
    await fresh.say("other 3", "other 4", "other 5")
    await eventually(lambda: len(fresh.got) == 3)
    assert fresh.got[0].position == ahead.got[2].position
    engine._tasks[0] = asyncio.ensure_future(engine._follow())
    await eventually(lambda: ahead.restarts == fresh.restarts == 1)
    (after,) = await ahead.say("6")
    assert after.epoch != ahead.got[0].position.epoch
    await eventually(lambda: ahead.got[-1] == fresh.got[-1])


async def test_servers_start_while_others_publish_into_a_full_log(join: Make) -> None:
    """What is trimmed while it loads is no reason to fail, and leaves no gap."""
    small = LogLimits(count=20)
    writer = await join(limits=small)
    running = True

    async def publish() -> None:
        while running:
            await writer.say(*map(str, range(10)))

    publishing = asyncio.ensure_future(publish())
    await eventually(lambda: len(writer.got) > 40)
    for _ in range(40):
        started = await join(limits=small)
        log = started.engine.log
        held = log.after(log.last.offset - len(log), 100)
        offsets = [made.position.offset for made in held]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
        await started.engine.close()
    running = False
    await publishing


async def test_end_of_the_log_is_told_again_and_again(join: Make) -> None:
    """So that whoever claims to be behind it can be told better."""
    listening = await join()
    (position,) = await listening.say("x")
    await eventually(lambda: listening.ends.count(position) >= 2)


async def test_failing_of_our_own_stops_nothing(
    join: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be sent fails alone; a heartbeat that fails is followed by another."""
    listening = await join()
    engine = listening.engine
    assert isinstance(engine, RedisEngine)
    with pytest.raises(Unavailable, match="its log says why"):
        await engine.publish(drafts("x", producer="lone \ud800"))
    await eventually(lambda: listening.leads)
    monkeypatch.setattr(engine.lease, "_renew", lambda: 1 / 0)
    await eventually(lambda: "a heartbeat failed" in caplog.text)
    monkeypatch.undo()
    await listening.say("well")
    await eventually(lambda: len(listening.got) == 1)
    assert not any(task.done() for task in engine._tasks)


async def test_numbering_is_bounded(join: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that published longest ago are forgotten, here and in Redis."""
    monkeypatch.setattr("rtdemo.engine.redis.publisher.MAX_NUMBERED_PRODUCERS", 3)
    listening = await join()
    engine = listening.engine
    assert isinstance(engine, RedisEngine)
    for name in "abcad":
        await engine.publish(drafts("x", producer=name))
    assert sorted(await engine._commands.hkeys(engine._keys.numbers)) == ["a", "c", "d"]
    await eventually(lambda: len(listening.got) == 5)
    assert [made.seq for made in listening.got] == [1, 1, 1, 2, 1]


async def test_server_that_fell_behind_the_log_is_told(join: Make) -> None:
    """What was trimmed while it could not read is lost to it, and it says so."""
    small = LogLimits(count=5)
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
    listening = await join(limits=LogLimits(bytes=1000))
    for n in range(10):
        await listening.say(str(n) * 300)
    engine = listening.engine
    assert isinstance(engine, RedisEngine)
    assert 1 <= await engine._commands.xlen(engine._keys.log) <= 3
    await listening.say("x" * 5000)
    assert await engine._commands.xlen(engine._keys.log) == 1
    aged = await join("aged", limits=LogLimits(seconds=1), now=lambda: 1000.0)
    await aged.say("old")
    later = await join("aged", limits=LogLimits(seconds=1), now=lambda: 9000.0)
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


async def test_servers_are_forgotten_while_redis_is_away(join: Make, redis_server: RedisServer) -> None:
    """Who lives cannot be known then: what was told expires as it does in Redis."""
    listening = await join()
    assert isinstance(listening.engine, RedisEngine)
    lease = listening.engine.lease
    await eventually(lambda: list(lease.others) == [listening.engine.server])
    await redis_server.stop()
    lease._told -= PRESENCE_S
    assert lease.others == {}
    assert listening.engine.servers == {}


async def test_servers_know_of_each_other(join: Make) -> None:
    """Each tells what it likes; one that stops is gone from the list."""
    first, second = await join(), await join()
    one, other = first.engine, second.engine
    assert isinstance(one, RedisEngine)
    assert isinstance(other, RedisEngine)
    for listening, engine in ((first, one), (second, other)):
        listening.presence = {"websocket": 3}
        engine.lease._told = 0.0
    await eventually(lambda: one.lease.others.get(other.server) == {"websocket": 3})
    await other.close()
    one.lease._told = 0.0
    await eventually(lambda: list(one.lease.others) == [one.server])


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
        ("redis://:s3cret@localhost:x/0", "host or port"),
        ("redis://[::1", "cannot be read"),
        ("redis://u:s3cret@no-such-host.invalid/0", "engine-optional"),
        ("redis://:s3cret@127.0.0.1:FREE_PORT/0", "Connect call failed"),
    ],
)
async def test_start_says_in_one_line_what_is_wrong(url: str, words: str) -> None:
    """With the mend, and never with the password."""
    assert words in await start_error(url.replace("FREE_PORT", str(free_port())))


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


async def test_start_at_a_redis_that_is_too_old() -> None:
    """Streams came with 5.0; a version of letters is no reason to fail."""
    for version, words in (("4.0.9", "Redis 4.0.9 is too old"), ("7.2-rc1", "")):
        async with asyncio.timeout(5), resp(info=f"redis_version:{version}\r\n") as port:
            if words:
                assert words in await start_error(f"redis://127.0.0.1:{port}/0")
            else:
                engine = RedisEngine(f"redis://127.0.0.1:{port}/0")
                await engine.reach()
                await engine.close()


@asynccontextmanager
async def resp(info: str) -> AsyncIterator[int]:
    """Something that speaks as Redis does, and answers INFO and nothing else of interest."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2].upper())
            body = f"${len(info)}\r\n{info}\r\n".encode()
            writer.write(body if words[0] == b"INFO" else b"+OK\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_redis_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """rediss:// works with a certificate that is trusted, and says in one line where it is not."""
    made = self_signed(tmp_path)
    port = free_port()
    files = ("--tls-cert-file", str(made.certificate), "--tls-key-file", str(made.key))
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder, "--tls-port", str(port), *files, "--tls-auth-clients", "no")
    await server.start()
    try:
        url = f"rediss://localhost:{port}/0"
        assert "certificate verify failed" in (await start_error(url)).lower()
        monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
        listening = Listening(RedisEngine(url))
        await listening.subscribe()
        await listening.say("secret")
        await eventually(lambda: len(listening.got) == 1)
        await listening.engine.close()
    finally:
        await server.stop()
